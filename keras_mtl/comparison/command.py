"""The command line of the comparison."""

import argparse
import importlib.util
import sys
from typing import Any

import keras

from keras_mtl.backend_choice import is_installed
from keras_mtl.comparison.html_report import html_report
from keras_mtl.comparison.jobs import Job
from keras_mtl.comparison.jobs import all_agreements
from keras_mtl.comparison.jobs import all_runs
from keras_mtl.comparison.markdown_report import markdown_report
from keras_mtl.comparison.problem import check_problem
from keras_mtl.comparison.progress import LiveProgress
from keras_mtl.comparison.progress import PlainProgress
from keras_mtl.comparison.results import collect
from keras_mtl.comparison.results_folder import REPORTS
from keras_mtl.comparison.results_folder import ResultsFolder
from keras_mtl.comparison.results_folder import fixed_settings
from keras_mtl.comparison.results_folder import json_text
from keras_mtl.comparison.settings import Settings
from keras_mtl.comparison.settings import read_settings
from keras_mtl.comparison.supervisor import Supervisor
from keras_mtl.comparison.tables import summary_csv
from keras_mtl.terminal import print_error
from keras_mtl.terminal import printable

#: Exit status after Ctrl-C, as shells have it.
INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the comparison to a parser.

    All are `None` if they are not given: the file of settings comes between
    them and the defaults.
    """
    default = Settings(backends=())
    texts: dict[str, tuple[type, str]] = {
        "backends": (
            str,
            "tensorflow, jax and torch, with commas between them (default: "
            "the one that Keras uses)",
        ),
        "strategies": (
            str,
            "names, or module:function, with commas between them (default: "
            f"{','.join(default.strategies)})",
        ),
        "dataset": (
            str,
            "name of a data set, or module:function (default: %s)",
        ),
        "model": (
            str,
            "module:function that returns a compiled model (default: a small "
            "network for data sets of image pairs)",
        ),
        "data-dir": (str, "folder of the data set's files"),
        "seeds": (int, "runs per strategy (default: %s)"),
        "epochs": (int, "epochs per run (default: %s)"),
        "batch-size": (int, "examples per step (default: %s)"),
        "learning-rate": (float, "learning rate (default: the model's)"),
        "limit": (int, "use that many training and test examples at most"),
        "agreement-steps": (
            int,
            "steps after which backends are compared with each other, 0 for "
            "none (default: %s)",
        ),
        "output": (str, "folder of the results (default: %s)"),
        "jobs": (int, "worker processes at a time (default: %s)"),
    }
    for name, (kind, text) in texts.items():
        if "%s" in text:
            text %= getattr(default, name.replace("-", "_"))
        parser.add_argument(f"--{name}", type=kind, help=text)
    parser.add_argument(
        "--config", help="TOML file with the same settings; options go first"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="check everything, list the runs and write nothing",
    )


def main(options: argparse.Namespace) -> int:
    """Compares; returns the exit status."""
    try:
        settings = read_settings(options, keras.backend.backend())
        _check_packages(settings)
        check_problem(settings)
        fixed = fixed_settings(settings)
        folder = ResultsFolder(settings.output)
        folder.check_place()
        folder.check(fixed)
        folder.check_runs([*all_agreements(settings), *all_runs(settings)])
    except (ValueError, ImportError, OSError) as error:
        print_error(error)
        return 2
    if options.dry_run:
        _list_runs(settings, folder)
        return 0
    return _compare(settings, folder, fixed)


def _check_packages(settings: Settings) -> None:
    for backend in settings.backends:
        if not is_installed(backend):
            raise ImportError(
                f"The backend {backend!r} is not installed: "
                f'pip install "keras-mtl[{backend}]"'
            )
    if importlib.util.find_spec("rich") is None:
        raise ImportError(
            'The comparison needs rich: pip install "keras-mtl[demo]"'
        )


def _list_runs(settings: Settings, folder: ResultsFolder) -> None:
    jobs = [*all_agreements(settings), *all_runs(settings)]
    to_do = set(folder.unfinished(jobs))
    for job in jobs:
        state = "to do" if job in to_do else "done "
        print(printable(f"{state}  {job.title}"))
    print(
        f"{len(to_do)} of {len(jobs)} to do, {settings.epochs} epochs each run;"
        f" results in {printable(str(folder.path))}"
    )


def _compare(
    settings: Settings, folder: ResultsFolder, fixed: dict[str, Any]
) -> int:
    try:
        with folder:
            failed, complete = _train(settings, folder, fixed)
            runs = all_runs(settings)
            if len(folder.unfinished(runs)) == len(runs):
                # Nothing to report on, and why has been shown.
                return 1
            write_reports(folder, collect(settings, folder, failed))
    except BlockingIOError as error:
        print_error(error)
        return 2
    except (ValueError, OSError) as error:
        # The disk is full, or a file of the folder has been damaged.
        print_error(error)
        return 1
    except KeyboardInterrupt:
        print(
            "Interrupted. The same command goes on where it stopped.",
            file=sys.stderr,
        )
        return INTERRUPTED
    print(f"Wrote {', '.join(REPORTS)} in {printable(str(folder.path))}")
    return 0 if complete else 1


def _train(
    settings: Settings, folder: ResultsFolder, fixed: dict[str, Any]
) -> tuple[dict[Job, str], bool]:
    """Does what is to do; returns what failed, and whether all is done."""
    from rich.console import Console
    from rich.live import Live

    jobs = [*all_agreements(settings), *all_runs(settings)]
    to_do = folder.unfinished(jobs)
    if len(to_do) < len(jobs):
        print(f"{len(jobs) - len(to_do)} of {len(jobs)} are done already.")
    console = Console()
    if not console.is_terminal:
        plain = PlainProgress(sys.stdout, to_do=to_do, epochs=settings.epochs)
        supervisor = Supervisor(settings, folder, fixed, plain)
        return supervisor.failed, supervisor.run()
    with Live(console=console, auto_refresh=False) as live:
        table = LiveProgress(live, to_do=to_do, epochs=settings.epochs)
        supervisor = Supervisor(settings, folder, fixed, table)
        return supervisor.failed, supervisor.run()


def write_reports(folder: ResultsFolder, document: dict[str, Any]) -> None:
    """Writes the results and what they look like.

    Args:
        folder: Where.
        document: What `results.collect` returns.
    """
    texts = (
        json_text(document),
        summary_csv(document),
        markdown_report(document),
        html_report(document),
    )
    for name, text in zip(REPORTS, texts, strict=True):
        folder.write(folder.path / name, text)
