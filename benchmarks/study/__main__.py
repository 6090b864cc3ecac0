"""Runs experiments, and writes the page about them.

```shell
python -m benchmarks.study run A --dataset multi_mnist --data-dir FOLDER
python -m benchmarks.study report
```

See `benchmarks/README.md`.
"""

import argparse
import dataclasses
import os
from pathlib import Path

from benchmarks.steps import workers

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
RUNS = FOLDER / "runs"
QUICK_RUNS = FOLDER / "runs" / "quick"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.study", description=__doc__.split("\n")[0]
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "run", help="does the runs of an experiment that are not done yet"
    )
    run.add_argument("experiment", choices=("A", "B", "C"))
    run.add_argument("--dataset", help="one of its data sets; all if left out")
    run.add_argument("--data-dir", help="folder of the data sets' files")
    run.add_argument(
        "--backend", choices=workers.BACKENDS, default="tensorflow"
    )
    run.add_argument(
        "--threads",
        type=int,
        default=1,
        help="threads of the framework; 0 leaves the choice to it",
    )
    run.add_argument("--methods", nargs="+", help="only these")
    run.add_argument(
        "--seeds", type=int, help="only the first so many; all if left out"
    )
    run.add_argument(
        "--limit", type=int, help="stop after this many runs of a data set"
    )
    run.add_argument(
        "--quick", action="store_true", help="little data: to see that it runs"
    )
    run.add_argument("--runs", type=Path, help="folder of the runs' records")
    report = commands.add_parser(
        "report", help="writes the page and its plots from the results"
    )
    report.add_argument("--runs", type=Path, default=RUNS)
    report.add_argument("--results", type=Path, default=FOLDER / "results")
    report.add_argument("--docs", type=Path, default=ROOT / "docs")
    return parser.parse_args(arguments)


def run(arguments: argparse.Namespace) -> None:
    """Does the runs that are left."""
    os.environ["KERAS_BACKEND"] = arguments.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if arguments.threads:
        for variable in workers.THREAD_VARIABLES:
            os.environ[variable] = str(arguments.threads)
    # Keras reads the environment when it is imported.
    from benchmarks.study.experiments import EXPERIMENTS
    from benchmarks.study.runner import Runner

    experiment = EXPERIMENTS[arguments.experiment]
    check("--dataset", arguments.dataset, experiment.datasets)
    for name in arguments.methods or ():
        check("--methods", name, [it.name for it in experiment.methods])
    runs = arguments.runs
    if arguments.quick:
        experiment = dataclasses.replace(
            experiment, settings=experiment.settings.quick()
        )
        runs = runs or QUICK_RUNS
    chosen = experiment.datasets
    for dataset in [arguments.dataset] if arguments.dataset else chosen:
        runner = Runner(
            experiment,
            dataset,
            runs or RUNS,
            data_dir=arguments.data_dir,
            seeds=arguments.seeds,
            limit=arguments.limit,
            methods=arguments.methods,
        )
        finished = runner.run()
        state = "finished" if finished else "not finished"
        print(f"{experiment.name} {dataset}: {state}", flush=True)


def check(option, value, allowed):
    """Ends the program unless a value is allowed, or `None`."""
    if value is not None and value not in allowed:
        raise SystemExit(
            f"{option} must be one of {', '.join(allowed)}, not {value!r}."
        )


def main() -> None:
    """Does what the command line says."""
    arguments = parse()
    if arguments.command == "run":
        run(arguments)
        return
    from benchmarks.study.report import write_report
    from benchmarks.study.store import gather

    gather(arguments.runs, arguments.results)
    write_report(arguments.results, arguments.docs)


if __name__ == "__main__":
    main()
