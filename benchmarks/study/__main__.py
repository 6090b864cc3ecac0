"""Runs experiments, and writes the pages about them.

```shell
python -m benchmarks.study run A --dataset multi_mnist --data-dir FOLDER
python -m benchmarks.study report
```

See `benchmarks/README.md`.
"""

import argparse
import dataclasses
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from benchmarks.steps import workers

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
RUNS = FOLDER / "runs"
QUICK_RUNS = FOLDER / "runs" / "quick"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.study",
        description=str(__doc__).split("\n")[0],
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "run", help="does the runs of an experiment that are not done yet"
    )
    add_training(run, "one of its data sets; all if left out")
    run.add_argument("--methods", nargs="+", help="only these")
    run.add_argument(
        "--seeds", type=int, help="only the first so many; all if left out"
    )
    run.add_argument(
        "--limit", type=int, help="stop after this many runs of a data set"
    )
    run.add_argument("--runs", type=Path, help="folder of the runs' records")
    trace = commands.add_parser(
        "trace", help="trains once and prints what the tasks did by epoch"
    )
    add_training(trace, "one of its data sets; the first if left out")
    trace.add_argument("--method", required=True, help="what to train with")
    trace.add_argument("--rho", type=float, help="radius, if it has one")
    trace.add_argument("--seed", type=int, default=0)
    report = commands.add_parser(
        "report", help="writes the page, the lab book and its plots"
    )
    report.add_argument("--runs", type=Path, default=RUNS)
    report.add_argument("--results", type=Path, default=FOLDER / "results")
    report.add_argument("--docs", type=Path, default=ROOT / "docs")
    report.add_argument("--labbook", type=Path, default=FOLDER)
    return parser.parse_args(arguments)


def add_training(parser: argparse.ArgumentParser, about_dataset: str) -> None:
    """Adds what commands that train have in common."""
    parser.add_argument("experiment", choices=("A", "B", "C"))
    parser.add_argument("--dataset", help=about_dataset)
    parser.add_argument("--data-dir", help="folder of the data sets' files")
    workers.add_running(parser, workers.BACKENDS, "tensorflow", "little data")


def chosen_experiment(arguments: argparse.Namespace) -> Any:
    """Returns the experiment, once the environment is as asked for."""
    os.environ["KERAS_BACKEND"] = arguments.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if arguments.threads:
        for variable in workers.THREAD_VARIABLES:
            os.environ[variable] = str(arguments.threads)
    # Keras reads the environment when it is imported.
    from benchmarks.study.experiments import EXPERIMENTS

    experiment = EXPERIMENTS[arguments.experiment]
    check("--dataset", arguments.dataset, experiment.datasets)
    if arguments.quick:
        experiment = dataclasses.replace(
            experiment, settings=experiment.settings.quick()
        )
    return experiment


def run(arguments: argparse.Namespace) -> None:
    """Does the runs that are left."""
    experiment = chosen_experiment(arguments)
    from benchmarks.study.work import StudyWork
    from benchmarks.study.work import do_runs

    for name in arguments.methods or ():
        check("--methods", name, [it.name for it in experiment.methods])
    default = QUICK_RUNS if arguments.quick else RUNS
    chosen = experiment.datasets
    for dataset in [arguments.dataset] if arguments.dataset else chosen:
        work = StudyWork(
            experiment,
            dataset,
            arguments.runs or default,
            data_dir=arguments.data_dir,
            seeds=arguments.seeds,
            methods=arguments.methods,
        )
        finished = do_runs(work, arguments.limit)
        state = "finished" if finished else "not finished"
        print(f"{experiment.name} {dataset}: {state}", flush=True)


def trace(arguments: argparse.Namespace) -> None:
    """Trains once and prints what the tasks did."""
    experiment = chosen_experiment(arguments)
    from benchmarks.study.trace import trace as table_of

    methods = {it.name: it for it in experiment.methods if not it.is_single}
    check("--method", arguments.method, list(methods))
    if methods[arguments.method].flat == (arguments.rho is None):
        raise SystemExit(
            f"--method {arguments.method} "
            + (
                "has no radius: leave out --rho."
                if arguments.rho is not None
                else "has a radius: add --rho, 0.1 for instance."
            )
        )
    problem = experiment.make_problem(
        arguments.dataset or experiment.datasets[0],
        experiment.settings,
        arguments.seed,
        arguments.data_dir,
    )
    print(
        table_of(
            experiment,
            problem,
            arguments.method,
            arguments.rho,
            arguments.seed,
        )
    )


def report(arguments: argparse.Namespace) -> None:
    """Gathers the results and writes the page and the lab book."""
    from benchmarks.study.report import write_report
    from benchmarks.study.results import gather

    gather(arguments.runs, arguments.results)
    write_report(arguments.results, arguments.docs, arguments.labbook)


def check(option: str, value: str | None, allowed: Collection[str]) -> None:
    """Ends the program unless a value is allowed, or `None`."""
    if value is not None and value not in allowed:
        raise SystemExit(
            f"{option} must be one of {', '.join(allowed)}, not {value!r}."
        )


def main() -> None:
    """Does what the command line says."""
    arguments = parse()
    {"run": run, "trace": trace, "report": report}[arguments.command](arguments)


if __name__ == "__main__":
    main()
