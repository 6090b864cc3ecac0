"""What an experiment is made of."""

import dataclasses
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Method:
    """One way to train, under a name.

    Args:
        name: Name in files and on the command line.
        title: Name on the page.
        make: Called with the radius, `None` for methods that have none;
            returns what `compile` takes as its `strategy`. `None` trains one
            model per task.
        flat: Whether it has a radius that is to be chosen.
        base: Name of the method that it is compared with.
        epochs_like: Names of the methods whose time per epoch decides how
            many epochs this one gets; empty for the experiment's number.
    """

    name: str
    title: str
    make: Callable[[float | None], Any] | None
    flat: bool = False
    base: str | None = None
    epochs_like: tuple[str, ...] = ()

    @property
    def is_single(self) -> bool:
        """Whether it trains one model per task."""
        return self.make is None

    def strategy(self, rho: float | None) -> Any:
        """Returns what `compile` takes; single tasks have nothing to merge."""
        return "ew" if self.make is None else self.make(rho)


@dataclasses.dataclass(frozen=True)
class Settings:
    """The numbers of an experiment, the same for all of its methods.

    Args:
        seeds: Number of seeds: 0, 1, ... Each draws the data, the initial
            weights and the order of the batches.
        epochs: Passes through the training data.
        num_train: Samples to train on.
        num_validation: Samples of the training data that are kept back to
            choose radii by.
        num_test: Samples that results are measured on.
        batch_size: Samples per step.
        learning_rate: Step size of Adam.
        rhos: Radii to choose from.
        probed: Training batches, after every epoch, on which conflicts are
            counted.
    """

    seeds: int
    epochs: int
    num_train: int
    num_validation: int
    num_test: int
    batch_size: int
    learning_rate: float
    rhos: tuple[float, ...] = ()
    probed: int = 0

    def quick(self) -> "Settings":
        """Returns settings that only show that everything works."""
        return dataclasses.replace(
            self,
            seeds=2,
            epochs=1,
            num_train=16,
            num_validation=min(self.num_validation, 16),
            num_test=16,
            batch_size=16,
            rhos=self.rhos[:2],
            probed=min(self.probed, 1),
        )


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Methods, each trained on each data set with each seed.

    Args:
        name: Letter of the experiment.
        datasets: Names of its data sets.
        make_problem: Called with a data set, settings, seed and the folder of
            the files; returns a `Problem`.
        methods: What is compared.
        settings: The numbers.
    """

    name: str
    datasets: tuple[str, ...]
    make_problem: Callable[..., Any]
    methods: tuple[Method, ...]
    settings: Settings

    def method(self, name: str) -> Method:
        """Returns the method of a name."""
        return next(it for it in self.methods if it.name == name)
