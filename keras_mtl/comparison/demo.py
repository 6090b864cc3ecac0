"""The demo: a comparison of strategies on embedded data."""

import argparse
import dataclasses
import hashlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

import keras_mtl
from keras_mtl.comparison import demo_report
from keras_mtl.comparison.command import check_work
from keras_mtl.comparison.command import run
from keras_mtl.comparison.comparison_folder import ComparisonFolder
from keras_mtl.comparison.comparison_work import ComparisonWork
from keras_mtl.comparison.comparison_work import tuples
from keras_mtl.comparison.problem import Data
from keras_mtl.comparison.settings import Settings
from keras_mtl.comparison.supervisor import Supervisor
from keras_mtl.comparison.training_run import count_conflicts
from keras_mtl.comparison.training_run import train
from keras_mtl.comparison.work import AfterEpoch
from keras_mtl.datasets import multi_digits
from keras_mtl.output_folder import check_own_subfolder
from keras_mtl.terminal import print_error
from keras_mtl.terminal import printable

NEEDED = {
    "sklearn": "scikit-learn",
    "rich": "rich",
    "matplotlib": "matplotlib",
}


@dataclasses.dataclass(frozen=True)
class DemoSettings:
    """What the demo does; every strategy gets the same.

    Args:
        strategies: Names of the strategies to compare.
        seeds: Number of seeds: 0, 1, ... Each decides the initial weights and
            the order of the batches. The images are the same for all.
        epochs: Number of epochs.
        num_train: Number of training images.
        num_test: Number of test images.
        batch_size: Images per step.
        learning_rate: Adam's step size.
        probed: Number of training batches, after every epoch, on which
            conflicts are counted.
    """

    strategies: tuple[str, ...] = ("ew", "db_mtl", "fs_mtl")
    seeds: int = 2
    epochs: int = 10
    num_train: int = 3000
    num_test: int = 2000
    batch_size: int = 100
    learning_rate: float = 5e-3
    probed: int = 5

    def quick(self) -> "DemoSettings":
        """Returns settings that only show that everything works."""
        return dataclasses.replace(
            self, seeds=1, epochs=2, num_train=400, num_test=200, probed=2
        )


class DemoWork(ComparisonWork):
    """The runs of the demo.

    They are kept in a folder of their own for each set of settings, so that a
    demo of others is not refused.

    Args:
        demo: What the demo does.
        backend: On which backend.
        output: Folder of the results.
    """

    def __init__(self, demo: DemoSettings, backend: str, output: str):
        self.demo = demo
        self.output = Path(output)
        super().__init__(
            Settings(
                backends=(backend,),
                strategies=demo.strategies,
                seeds=demo.seeds,
                epochs=demo.epochs,
                batch_size=demo.batch_size,
                learning_rate=demo.learning_rate,
                output=output,
            )
        )
        text = json.dumps(self.fixed(), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.folder = ComparisonFolder(self.output / "runs" / digest)

    @classmethod
    def from_arguments(cls, arguments: dict[str, Any]) -> "DemoWork":
        demo = DemoSettings(**tuples(arguments["demo"]))
        return cls(demo, arguments["backend"], arguments["output"])

    def arguments(self) -> dict[str, Any]:
        return {
            "demo": dataclasses.asdict(self.demo),
            "backend": self.backends[0],
            "output": str(self.output),
        }

    def fixed(self) -> dict[str, Any]:
        names = ("num_train", "num_test", "probed")
        return super().fixed() | {it: getattr(self.demo, it) for it in names}

    def load_data(self) -> Data:
        train_data, test_data = multi_digits(
            self.demo.num_train, self.demo.num_test
        )
        return Data(*train_data, *test_data)

    def train(
        self, strategy: str, seed: int, after_epoch: AfterEpoch
    ) -> dict[str, Any]:
        return train(
            self.settings,
            self.data,
            strategy,
            seed,
            after_epoch,
            self.identity,
            self.probe,
        )

    def probe(self, model: Any, epoch: int) -> dict[str, float]:
        """Counts conflicts, on other training batches after every epoch."""
        size, probed = self.demo.batch_size, self.demo.probed
        starts = size * ((epoch - 1) * probed + np.arange(probed))
        batches = [
            np.arange(start, start + size) % self.data.num_train
            for start in starts
        ]
        conflicts = count_conflicts(model, self.data.x, self.data.y, batches)
        return {"conflict_ratio": conflicts / probed}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the demo's options to a parser."""
    default = DemoSettings()
    parser.add_argument(
        "--strategies",
        default=",".join(default.strategies),
        help="names with commas between them (default: %(default)s)",
    )
    for name, text in (
        ("seeds", f"runs per strategy (default: {default.seeds})"),
        ("epochs", f"epochs per run (default: {default.epochs})"),
    ):
        parser.add_argument(f"--{name}", type=positive, help=text)
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("demo_results"),
        help="folder for results.json and the plot (default: %(default)s)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="little data, one seed: only shows that everything works",
    )


def positive(text: str) -> int:
    """Reads a positive integer."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be positive, not {value}")
    return value


def main(options: argparse.Namespace) -> int:
    """Runs the demo; returns the exit status."""
    missing = [
        package
        for module, package in NEEDED.items()
        if importlib.util.find_spec(module) is None
    ]
    if missing:
        print(
            f"The demo needs: pip install {' '.join(missing)}", file=sys.stderr
        )
        return 1
    demo = _settings(options)
    try:
        demo_report.check_output(options.output)
        check_own_subfolder(options.output / "runs")
        work = DemoWork(demo, keras.backend.backend(), str(options.output))
        check_work(work)
    except (ValueError, OSError) as error:
        print_error(error)
        return 2
    print(
        f"keras_mtl {keras_mtl.__version__}, Keras {keras.__version__} on "
        f"{keras.backend.backend()}: {demo.num_train} training and "
        f"{demo.num_test} test images of two overlapping digits, "
        f"{demo.epochs} epochs."
    )
    return run(work, _report)


def _settings(options: argparse.Namespace) -> DemoSettings:
    names = tuple(dict.fromkeys(options.strategies.split(",")))
    demo = DemoSettings(strategies=names)
    if options.quick:
        demo = demo.quick()
    return dataclasses.replace(
        demo,
        seeds=options.seeds or demo.seeds,
        epochs=options.epochs or demo.epochs,
    )


def _report(work: ComparisonWork, supervisor: Supervisor) -> None:
    from rich.console import Console

    if not isinstance(work, DemoWork):
        raise TypeError(f"{type(work).__name__} is not the work of a demo.")
    document = work.folder.collect(work.settings, supervisor.failed)
    Console().print(demo_report.table(document))
    demo_report.check_output(work.output)
    demo_report.write_results(work.output, work.demo, document)
    demo_report.plot(work.output, document)
    print(
        "conflict: percentage of the probed training batches on which the "
        "two tasks' gradients point against each other. Loss: sum of the "
        "tasks' losses.\n"
        f"Wrote {demo_report.RESULTS} and {demo_report.PLOT} in "
        f"{printable(str(work.output))}."
    )
