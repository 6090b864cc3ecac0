"""Times the weight computations, and measures how exact they are.

```shell
python benchmarks/solvers.py [--backend jax] [--quick]
```

See `benchmarks/README.md` for what is measured.
"""

from steps import workers


def parse():
    parser = workers.make_parser(__doc__, "2 and 3 tasks and few calls")
    parser.add_argument(
        "--seconds",
        type=float,
        default=2.0,
        help="time to spend on each Gramian and backend, without compiling",
    )
    parser.add_argument(
        "--no-peers",
        action="store_true",
        help="without CVXPY, and TorchJD beside torch",
    )
    return parser.parse_args()


def main():
    workers.start(parse(), work)


def work(arguments):
    """Prints the tables of one backend."""
    from solving import report

    report.work(arguments)


if __name__ == "__main__":
    main()
