"""Compares every method with the values published for it.

```shell
python benchmarks/deviations.py [--backend torch] [--quick]
```

From the archives in `tests/data`, which say how the values came about. See
`benchmarks/README.md` for what is left out and why.
"""

import sys
from pathlib import Path

from steps import workers


def parse():
    parser = workers.make_parser(__doc__, "three cases of each kind of values")
    return parser.parse_args()


def main():
    workers.start(parse(), work)


def work(arguments):
    """Prints the table of one backend."""
    # The archives, and what reads them, belong to the tests.
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from published import report

    report.work(3 if arguments.quick else None)


if __name__ == "__main__":
    main()
