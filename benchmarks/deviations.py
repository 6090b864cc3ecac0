"""Compares every method with the values published for it.

```shell
python benchmarks/deviations.py [--backend torch] [--quick]
```

From the archives in `tests/data`, which say how the values came about. See
`benchmarks/README.md` for what is left out and why.
"""

import argparse
import sys
from pathlib import Path

from steps import workers


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    workers.add_arguments(parser)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="three cases of each kind of values: to see that it runs",
    )
    return parser.parse_args()


def main():
    arguments = parse()
    if not arguments.worker:
        workers.run(arguments)
        return
    # The archives, and what reads them, belong to the tests.
    sys.path.insert(0, str(Path(__file__).parents[1]))
    # Keras takes its backend from the environment of the worker.
    from published import report

    report.work(3 if arguments.quick else None)


if __name__ == "__main__":
    main()
