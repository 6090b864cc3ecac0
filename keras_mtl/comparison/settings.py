"""What is compared, and how: read from the command line and a TOML file."""

import argparse
import dataclasses
import platform
import tomllib
from collections.abc import Mapping
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras_mtl
from keras_mtl.arguments import checked_choice
from keras_mtl.arguments import checked_integer
from keras_mtl.arguments import checked_number
from keras_mtl.comparison.budget import read_budget
from keras_mtl.comparison.calls import read_call
from keras_mtl.comparison.calls import split_calls
from keras_mtl.comparison.import_path import is_import_path
from keras_mtl.comparison.import_path import source_digest
from keras_mtl.comparison.model_folders import folder_of
from keras_mtl.comparison.objective import USUAL_OBJECTIVE
from keras_mtl.comparison.objective import read_objective
from keras_mtl.comparison.pruning import PRUNERS
from keras_mtl.comparison.records import SCHEMA
from keras_mtl.registry import unknown_name

#: The packages whose versions matter to a result, by backend.
PACKAGES = {
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "jax": ("jax", "jaxlib"),
    "torch": ("torch",),
}
BACKENDS = tuple(PACKAGES)

TEXTS = (
    *("dataset", "model", "data_dir", "output", "baseline", "objective"),
    *("budget", "pruner"),
)

#: What matters where settings are tuned.
OF_TUNING = {"tune", "trials", "budget", "pruner", "validation", "space"}

#: What the result of a run does not depend on.
OF_NO_RUN = {
    *("backends", "strategies", "seeds"),
    *("output", "jobs", "data_dir", "baseline", "objective"),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is compared, and how.

    Args:
        backends: Keras backends; each has a worker process.
        strategies: Names of strategies, or import paths to functions that
            return one.
        dataset: Name of a data set, or import path to a function that returns
            one.
        model: Import path to a function that returns a compiled
            `MultiTaskModel`, or `None` for the data set's own.
        data_dir: Folder of the files of the data set, or `None`.
        seeds: Number of runs of each strategy: seeds 0, 1, and so on.
        epochs: Epochs per run.
        batch_size: Examples per step.
        learning_rate: Learning rate, or `None` for that of the model.
        limit: Number of training and of test examples that are used at most,
            or `None` for all.
        agreement_steps: Steps after which backends are compared with each
            other; 0 for no such comparison.
        output: Folder of the results.
        jobs: Number of worker processes at a time.
        baseline: The strategy that the others are compared with, or `None`
            for `ew`, or the first one where there is no `ew`.
        objective: The measure on test data that the report sorts by, with
            `:max` or `:min` after it where its name does not tell the
            direction.
        tune: Names of what is tuned for each strategy; none for no tuning.
        trials: Settings that are tried for each strategy.
        budget: What the trials of each strategy may take, in epochs or, with
            an `s` behind it, in seconds, or `None` for `trials` of them.
        pruner: What ends trials early, or `None` for nothing.
        validation: Part of the training examples on which settings are
            chosen.
        space: Lowest and highest number by name of what is tuned, where they
            are not the usual ones.
    """

    backends: tuple[str, ...]
    strategies: tuple[str, ...] = ("ew", "db_mtl", "fs_mtl")
    dataset: str = "multi_digits"
    model: str | None = None
    data_dir: str | None = None
    seeds: int = 3
    epochs: int = 10
    batch_size: int = 100
    learning_rate: float | None = None
    limit: int | None = None
    agreement_steps: int = 10
    output: str = "report"
    jobs: int = 1
    baseline: str | None = None
    objective: str = USUAL_OBJECTIVE
    tune: tuple[str, ...] = ()
    trials: int = 20
    budget: str | None = None
    pruner: str | None = None
    validation: float = 0.1
    space: Mapping[str, Sequence[float]] = dataclasses.field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        for backend in self.backends:
            checked_choice("backends", backend, BACKENDS)
        for name in ("seeds", "epochs", "batch_size", "jobs", "trials"):
            checked_integer(name, getattr(self, name))
        checked_integer("agreement_steps", self.agreement_steps, low=0)
        if self.limit is not None:
            checked_integer("limit", self.limit)
        if self.learning_rate is not None:
            checked_number("learning_rate", self.learning_rate, "(0, inf)")
        for name in TEXTS:
            _check_text(name, getattr(self, name))
        read_objective(self.objective)
        if self.budget is not None:
            read_budget(self.budget)
        if self.pruner is not None:
            checked_choice("pruner", self.pruner, PRUNERS)
        checked_number("validation", self.validation, "(0, 1)")
        _check_space(self.space)
        if self.baseline is not None:
            baseline = read_call("baseline", self.baseline).text
            checked_choice("baseline", baseline, self.strategies)
            object.__setattr__(self, "baseline", baseline)

    def of_a_run(self) -> dict[str, Any]:
        """Returns the settings on which the result of a run depends.

        Backends, strategies and seeds tell runs apart: there may be more of
        them later. The others that are left out change no result.
        """
        left_out = OF_NO_RUN - {"objective"} if self.tune else OF_NO_RUN
        left_out = left_out if self.tune else left_out | OF_TUNING
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
            if name not in left_out
        }

    def compares_backends(self) -> bool:
        """Whether backends take steps from the same weights."""
        return len(self.backends) > 1 and self.agreement_steps > 0


def read_settings(options: argparse.Namespace, backend: str) -> list[Settings]:
    """Returns the settings that were given, for each model.

    What the command line says goes before what the file says, and that before
    the defaults. Several models have folders of their own in that of all.

    Args:
        options: With an attribute for each setting, `None` if it was not
            given, and `config`, the path of a TOML file or `None`.
        backend: The backend if none is named.

    Raises:
        ValueError: If a setting is unknown or has no meaning.
    """
    names = [field.name for field in dataclasses.fields(Settings)]
    given: dict[str, Any] = {"backends": backend}
    if options.config is not None:
        given.update(_read_file(options.config, names))
    for name in names:
        # A table has no option.
        value = getattr(options, name, None)
        if value is not None:
            given[name] = value
    for name in ("backends", "strategies", "tune"):
        if name in given:
            given[name] = read_names(name, given[name])
    models = given.pop("model", None)
    if isinstance(models, list):
        models = read_names("model", models)
    else:
        models = (models,)
    if len(models) == 1:
        return [Settings(**given, model=models[0])]
    output = given.pop("output", Settings.output)
    _check_text("output", output)
    return [
        Settings(**given, model=model, output=folder_of(output, model))
        for model in models
    ]


def fixed_settings(settings: Settings) -> dict[str, Any]:
    """Returns what must be the same for all results of a folder.

    Names with a slash hold for one backend or one module of the user.
    """
    fixed = {"schema": SCHEMA, **settings.of_a_run()}
    for backend in settings.backends:
        for name, number in versions_of(backend).items():
            fixed[f"versions/{backend}/{name}"] = number
    for argument in ("dataset", "model", "strategies"):
        given = getattr(settings, argument)
        for path in (given,) if isinstance(given, str) else given or ():
            if is_import_path(path):
                module = path.partition(":")[0].strip()
                fixed[f"source/{module}"] = source_digest(argument, path)
    return fixed


def versions_of(backend: str) -> dict[str, str]:
    """Returns versions by name, without importing the backend."""
    found = {
        "python": platform.python_version(),
        "keras_mtl": keras_mtl.__version__,
    }
    for package in ("keras", "numpy", *PACKAGES[backend]):
        number = _version(package)
        if number is not None:
            found[package] = number
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        # TensorFlow has two names; one of them is there.
        return None


def _read_file(path: str, names: Sequence[str]) -> dict[str, Any]:
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"Argument `config` must be a TOML file. Received: config={path}: "
            f"{error.strerror}"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no valid TOML: {error}") from error
    found = {}
    for key, value in content.items():
        name = key.replace("-", "_")
        if name not in names:
            raise unknown_name(f"key in {path}", key, names)
        found[name] = value
    return found


def read_names(argument: str, value: Any) -> tuple[str, ...]:
    """Splits text at commas; each name counts once."""
    items = split_calls(value) if isinstance(value, str) else value
    if (
        not isinstance(items, list)
        or not items
        or not all(isinstance(item, str) and item.strip() for item in items)
    ):
        raise ValueError(
            f"Argument `{argument}` must be names with commas between them, "
            f"or a list of names. Received: {argument}={value}"
        )
    # One spelling: by it runs are known.
    return tuple(dict.fromkeys(read_call(argument, it).text for it in items))


def _check_space(space: Any) -> None:
    if not isinstance(space, Mapping):
        raise ValueError(
            f"`space` must be a table, [space]. Received: space={space!r}"
        )
    for name, ends in space.items():
        is_range = isinstance(ends, (list, tuple)) and len(ends) == 2
        if is_range:
            low = checked_number(f"space.{name}[0]", ends[0], "(-inf, inf)")
            high = checked_number(f"space.{name}[1]", ends[1], "(-inf, inf)")
            is_range = low < high
        if not is_range:
            raise ValueError(
                "The table [space] must have the lowest and the highest number "
                f"of each name, rho = [0.01, 1.0] for instance. Received: "
                f"{name} = {ends}"
            )


def _check_text(argument: str, value: Any) -> None:
    if value is not None and (not isinstance(value, str) or not value):
        raise ValueError(
            f"Argument `{argument}` must be text, not empty. Received: "
            f"{argument}={value!r}"
        )
