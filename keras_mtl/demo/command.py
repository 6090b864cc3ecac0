"""The command line of the demo."""

import argparse
import dataclasses
import importlib.util
import sys
import time
from pathlib import Path

from keras_mtl.terminal import print_error
from keras_mtl.terminal import printable

NEEDED = {
    "sklearn": "scikit-learn",
    "rich": "rich",
    "matplotlib": "matplotlib",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the demo's options to a parser."""
    parser.add_argument(
        "--strategies",
        default="ew,db_mtl,fs_mtl",
        help="names with commas between them (default: %(default)s)",
    )
    parser.add_argument(
        "--seeds", type=positive, help="runs per strategy (default: 2)"
    )
    parser.add_argument(
        "--epochs", type=positive, help="epochs per run (default: 10)"
    )
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
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    import keras
    from rich.console import Console
    from rich.progress import BarColumn
    from rich.progress import MofNCompleteColumn
    from rich.progress import Progress
    from rich.progress import TextColumn
    from rich.progress import TimeElapsedColumn

    import keras_mtl
    from keras_mtl import strategies
    from keras_mtl.demo import report
    from keras_mtl.demo.run import Settings
    from keras_mtl.demo.run import run

    names = tuple(dict.fromkeys(options.strategies.split(",")))
    try:
        for name in names:
            strategies.get(name)
        report.check_output(options.output)
        options.output.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        print_error(error)
        return 2
    settings = Settings(strategies=names)
    if options.quick:
        settings = settings.quick()
    given = {"seeds": options.seeds, "epochs": options.epochs}
    settings = dataclasses.replace(
        settings, **{name: value for name, value in given.items() if value}
    )
    console = Console()
    console.print(
        f"keras_mtl {keras_mtl.__version__}, Keras {keras.__version__} on "
        f"{keras.backend.backend()}: {settings.num_train} training and "
        f"{settings.num_test} test images of two overlapping digits, "
        f"{settings.epochs} epochs.",
        highlight=False,
    )
    start = time.perf_counter()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    ) as bar:
        total = settings.seeds * len(names) * settings.epochs
        task = bar.add_task("starting", total=total)

        def progress(strategy: str, seed: int, epoch: int) -> None:
            bar.update(
                task,
                advance=1,
                description=f"{strategy}, seed {seed}, epoch {epoch}",
            )

        results = run(settings, progress)

    console.print(report.table(results))
    try:
        report.check_output(options.output)
        report.write_results(
            options.output / report.RESULTS,
            settings,
            results,
            keras_mtl.__version__,
        )
        report.plot(options.output / report.PLOT, results)
    except (ValueError, OSError) as error:
        # The disk is full, for instance.
        print_error(error)
        return 1
    console.print(
        "conflict: percentage of the probed training batches on which the "
        "two tasks' gradients point against each other. Loss: sum of the "
        "tasks' losses.\n"
        f"Wrote {report.RESULTS} and {report.PLOT} in "
        f"{printable(str(options.output))} after "
        f"{time.perf_counter() - start:.0f} s.",
        highlight=False,
        # A name in brackets is no markup.
        markup=False,
    )
    return 0
