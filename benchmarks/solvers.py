"""Times the weight computations, and measures how exact they are.

```shell
python benchmarks/solvers.py [--backend jax] [--quick]
```

See `benchmarks/README.md` for what is measured.
"""

import argparse

from steps import workers


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    workers.add_arguments(parser)
    parser.add_argument(
        "--seconds",
        type=float,
        default=2.0,
        help="time to spend on each Gramian and backend, without compiling",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="2 and 3 tasks and few calls: to see that it runs",
    )
    parser.add_argument(
        "--no-peers",
        action="store_true",
        help="without CVXPY, and TorchJD beside torch",
    )
    return parser.parse_args()


def main():
    arguments = parse()
    if arguments.worker:
        # Keras takes its backend from the environment of the worker.
        from solving import report

        report.work(arguments)
    else:
        workers.run(arguments)


if __name__ == "__main__":
    main()
