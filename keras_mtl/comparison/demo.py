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
from keras_mtl.comparison.data import Data
from keras_mtl.comparison.examples import Arrays
from keras_mtl.comparison.settings import Settings
from keras_mtl.comparison.settings import read_names
from keras_mtl.comparison.supervisor import Supervisor
from keras_mtl.comparison.training_run import count_conflicts
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
class DemoSettings(Settings):
    """What the demo does; every strategy gets the same.

    Args:
        num_train: Number of training images, the same for all seeds.
        num_test: Number of test images.
        probed: Number of training batches, after every epoch, on which
            conflicts are counted.
    """

    seeds: int = 2
    learning_rate: float | None = 5e-3
    output: str = "demo_results"
    num_train: int = 3000
    num_test: int = 2000
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
        settings: What the demo does, on one backend.
    """

    settings: DemoSettings
    settings_class = DemoSettings

    def __init__(self, settings: DemoSettings):
        super().__init__(settings)
        text = json.dumps(self.fixed(), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.output = Path(settings.output)
        self.folder = ComparisonFolder(self.output / "runs" / digest)

    def load_data(self) -> Data:
        train_data, test_data = multi_digits(
            self.settings.num_train, self.settings.num_test
        )
        return Data(Arrays(*train_data), Arrays(*test_data))

    def probe(self, model: Any, epoch: int) -> dict[str, float]:
        """Counts conflicts, on other training batches after every epoch."""
        size, probed = self.settings.batch_size, self.settings.probed
        starts = size * ((epoch - 1) * probed + np.arange(probed))
        batches = [
            np.arange(start, start + size) % self.settings.num_train
            for start in starts
        ]
        arguments = self.data.train.arguments(size)
        conflicts = count_conflicts(
            model, arguments["x"], arguments["y"], batches
        )
        return {"conflict_ratio": conflicts / probed}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the demo's options to a parser."""
    default = DemoSettings(backends=())
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
    try:
        demo_report.check_output(options.output)
        check_own_subfolder(options.output / "runs")
        settings = _settings(options)
        work = DemoWork(settings)
        check_work(work)
    except (ValueError, OSError) as error:
        print_error(error)
        return 2
    print(
        f"keras_mtl {keras_mtl.__version__}, Keras {keras.__version__} on "
        f"{settings.backends[0]}: {settings.num_train} training and "
        f"{settings.num_test} test images of two overlapping digits, "
        f"{settings.epochs} epochs."
    )
    return run(work, _report)


def _settings(options: argparse.Namespace) -> DemoSettings:
    settings = DemoSettings(
        backends=(keras.backend.backend(),),
        strategies=read_names("strategies", options.strategies),
        output=str(options.output),
    )
    if options.quick:
        settings = settings.quick()
    return dataclasses.replace(
        settings,
        seeds=options.seeds or settings.seeds,
        epochs=options.epochs or settings.epochs,
    )


def _report(work: DemoWork, supervisor: Supervisor) -> None:
    from rich.console import Console

    document = work.folder.collect(work.settings, supervisor.failed)
    Console().print(demo_report.table(document))
    demo_report.check_output(work.output)
    demo_report.write_results(work.output, document)
    demo_report.plot(work.output, document)
    print(
        "conflict: percentage of the probed training batches on which the "
        "two tasks' gradients point against each other. Loss: sum of the "
        "tasks' losses.\n"
        f"Wrote {demo_report.RESULTS} and {demo_report.PLOT} in "
        f"{printable(str(work.output))}."
    )
