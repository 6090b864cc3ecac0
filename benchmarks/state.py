"""Tells whether methods go on after saving as if nothing had happened.

```shell
python benchmarks/state.py [--backend torch] [--quick]
```

Every method with a state of ours, and those of TorchJD beside torch. See
`benchmarks/README.md`.
"""

from steps import workers


def parse():
    parser = workers.make_parser(__doc__, "three of our methods")
    parser.add_argument(
        "--no-peers", action="store_true", help="without TorchJD"
    )
    return parser.parse_args()


def main():
    workers.start(parse(), work)


def work(arguments):
    """Prints the table of one backend."""
    from saving import report

    report.work(arguments.quick, not arguments.no_peers)


if __name__ == "__main__":
    main()
