"""The command line of the comparison."""

import argparse
import functools
import importlib.util
import sys
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import TypeVar

import keras

from keras_mtl.backend_choice import is_installed
from keras_mtl.comparison.architectures import ArchitecturesFolder
from keras_mtl.comparison.architectures import by_place
from keras_mtl.comparison.architectures import joint_document
from keras_mtl.comparison.comparison_folder import REPORTS
from keras_mtl.comparison.comparison_work import ComparisonWork
from keras_mtl.comparison.dry_run import make_steps
from keras_mtl.comparison.html_report import WITHOUT_DRAWINGS
from keras_mtl.comparison.html_report import can_draw
from keras_mtl.comparison.html_report import html_report
from keras_mtl.comparison.jobs import all_runs
from keras_mtl.comparison.latex_report import latex_report
from keras_mtl.comparison.markdown_report import markdown_report
from keras_mtl.comparison.problem import check_problem
from keras_mtl.comparison.pruning import PRUNERS
from keras_mtl.comparison.results_folder import ResultsFolder
from keras_mtl.comparison.results_folder import json_text
from keras_mtl.comparison.running_report import RunningReport
from keras_mtl.comparison.settings import Settings
from keras_mtl.comparison.settings import read_settings
from keras_mtl.comparison.supervisor import Supervisor
from keras_mtl.comparison.supervisor import supervise
from keras_mtl.comparison.tables import summary_csv
from keras_mtl.comparison.tuning import check_tuning
from keras_mtl.terminal import print_error
from keras_mtl.terminal import printable

Kind = TypeVar("Kind", bound=ComparisonWork)

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
            "names, or module:function, with commas between them and "
            "arguments in parentheses, as in 'fs_mtl(rho=0.1)' (default: "
            f"{','.join(default.strategies)})",
        ),
        "dataset": (
            str,
            "name of a data set, or module:function (default: %s)",
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
        "baseline": (
            str,
            "the strategy that the others are compared with (default: ew, or "
            "the first one)",
        ),
        "tune": (
            str,
            "what to tune for each strategy, with commas: learning_rate, "
            "weight_decay, loss_weights, arguments of strategies such as rho",
        ),
        "trials": (int, "settings tried per strategy (default: %s)"),
        "budget": (
            str,
            "instead of --trials, epochs of all trials of a strategy, 300 for "
            "instance, or seconds of training, 600s",
        ),
        "pruner": (
            str,
            f"ends trials early that go badly: {', '.join(PRUNERS)} (default: "
            "none)",
        ),
        "validation": (
            float,
            "part of the training examples to choose settings on (default: %s)",
        ),
        "objective": (
            str,
            "measure on test data to sort by, with :max or :min where its "
            "name does not tell which is better (default: %s)",
        ),
    }
    for name, (kind, text) in texts.items():
        if "%s" in text:
            text %= getattr(default, name.replace("-", "_"))
        parser.add_argument(f"--{name}", type=kind, help=text)
    parser.add_argument(
        "--model",
        action="append",
        help="module:function that returns a compiled model, once or several "
        "times (default: a small network for data sets of image pairs)",
    )
    parser.add_argument(
        "--config", help="TOML file with the same settings; options go first"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="check everything, list the runs, make one step of each kind and "
        "write nothing",
    )


def main(options: argparse.Namespace) -> int:
    """Compares; returns the exit status."""
    try:
        models = read_settings(options, keras.backend.backend())
        works = [ComparisonWork(settings) for settings in models]
        for work in works:
            _check_packages(work.settings)
            check_work(work)
        if len(works) > 1:
            check_place(works)
    except (ValueError, ImportError, OSError) as error:
        print_error(error)
        return 2
    if options.dry_run:
        for work in works:
            _list_jobs(work)
        # All of them, so that each tells what is wrong.
        made = [make_steps(work.settings) for work in works]
        return 0 if all(made) else 1
    if len(works) > 1:
        return compare_models(works)
    return run(works[0], write_reports, write_texts)


def check_work(work: ComparisonWork) -> None:
    """Finds what is wrong before anything is started.

    Raises:
        ValueError: If a setting means nothing, or the folder cannot be used.
        ImportError: If a package is missing.
        OSError: If a file is missing, or the folder cannot be read.
    """
    check_problem(work.settings)
    check_tuning(work.settings)
    fixed = work.fixed()
    work.folder.check_place()
    work.folder.check(fixed)
    work.folder.check_runs(work.reported_jobs())


def _check_packages(settings: Settings) -> None:
    for backend in settings.backends:
        if not is_installed(backend):
            raise ImportError(
                f"The backend {backend!r} is not installed: "
                f'pip install "keras-mtl[{backend}]"'
            )
    needed = {"rich": "demo"}
    if settings.tune:
        # Optuna's sampler takes torch for itself, on every backend.
        needed |= {"optuna": "tune", "torch": "tune"}
    for package, extra in needed.items():
        if importlib.util.find_spec(package) is None:
            raise ImportError(
                f"The comparison needs {package}: "
                f'pip install "keras-mtl[{extra}]"'
            )


def _list_jobs(work: ComparisonWork) -> None:
    jobs, epochs = work.reported_jobs(), work.settings.epochs
    to_do = set(work.folder.unfinished(jobs))
    for job in jobs:
        state = "to do" if job in to_do else "done "
        print(printable(f"{state}  {job.title}"))
    print(
        f"{len(to_do)} of {len(jobs)} to do, {epochs} epochs each run;"
        f" results in {printable(str(work.folder.path))}"
    )


def run(
    work: Kind,
    report: Callable[[Kind, Supervisor], None],
    report_so_far: Callable[[Kind, Supervisor], None] | None = None,
) -> int:
    """Does what is to do and reports on it; returns the exit status.

    Args:
        work: What is to do.
        report: Called in the end, when there is a run to report on.
        report_so_far: Called now and then before, and shows nothing on the
            screen. Defaults to `None`: nothing is.
    """
    running: list[RunningReport] = []

    def after_job(supervisor: Supervisor) -> None:
        if report_so_far is not None:
            if not running:
                write = functools.partial(report_so_far, work, supervisor)
                running.append(RunningReport(write))
            running[0]()

    try:
        with work.folder:
            supervisor = supervise(work, work.settings.epochs, after_job)
            runs = all_runs(work.settings)
            if len(work.folder.unfinished(runs)) == len(runs):
                # Nothing to report on, and why has been shown.
                return 1
            report(work, supervisor)
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
    return 0 if supervisor.is_complete() else 1


def write_reports(work: ComparisonWork, supervisor: Supervisor) -> None:
    """Writes the results and what they look like, and says so."""
    work.write_trials()
    write_texts(work, supervisor)
    tell_of_reports(work.folder)


def write_texts(work: ComparisonWork, supervisor: Supervisor) -> None:
    """Writes the results and what they look like, as far as there are any."""
    document = work.folder.collect(work.settings, supervisor.failed)
    write_documents(work.folder, document, document)


def write_documents(
    folder: ResultsFolder, document: dict[str, Any], shown: dict[str, Any]
) -> None:
    """Writes results.json and all reports.

    Args:
        folder: Where.
        document: What results.json says.
        shown: The same as the reports show it.
    """
    texts = (
        json_text(document),
        summary_csv(document),
        markdown_report(shown),
        latex_report(shown),
        html_report(shown, saved=document),
    )
    for name, text in zip(REPORTS, texts, strict=True):
        folder.write(folder.path / name, text)


def tell_of_reports(folder: ResultsFolder) -> None:
    """Says what has been written."""
    print(f"Wrote {', '.join(REPORTS)} in {printable(str(folder.path))}")
    if not can_draw():
        print(WITHOUT_DRAWINGS)


def check_place(works: Sequence[ComparisonWork]) -> None:
    """Raises `ValueError` if the report on several models has no place."""
    folder = _folder_of_all(works)
    folder.check_place()
    folder.check(folder.fixed())


def compare_models(works: Sequence[ComparisonWork]) -> int:
    """Compares with each model and reports on all; returns the exit status."""
    documents: list[dict[str, Any]] = []

    def report(work: ComparisonWork, supervisor: Supervisor) -> None:
        write_reports(work, supervisor)
        documents.append(work.folder.collect(work.settings, supervisor.failed))

    statuses = []
    for work in works:
        print(f"Model {printable(str(work.settings.model))}")
        statuses.append(run(work, report, write_texts))
        if statuses[-1] == INTERRUPTED:
            return INTERRUPTED
    if not documents:
        return 1
    try:
        joint = joint_document(documents)
        folder = _folder_of_all(works)
        with folder:
            folder.prepare(folder.fixed())
            write_documents(folder, joint, by_place(joint))
            tell_of_reports(folder)
    except (ValueError, OSError) as error:
        print_error(error)
        return 1
    return max(statuses)


def _folder_of_all(works: Sequence[ComparisonWork]) -> ArchitecturesFolder:
    # Each has its own, two levels below.
    return ArchitecturesFolder(works[0].folder.path.parent.parent)
