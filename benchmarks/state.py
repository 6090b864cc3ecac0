"""Tells whether methods go on after saving as if nothing had happened.

```shell
python benchmarks/state.py [--backend torch] [--quick]
```

Every method with a state of ours, and those of TorchJD beside torch. See
`benchmarks/README.md`.
"""

import argparse

from steps import workers


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    workers.add_arguments(parser)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="three of our methods: to see that it runs",
    )
    parser.add_argument(
        "--no-peers", action="store_true", help="without TorchJD"
    )
    return parser.parse_args()


def main():
    arguments = parse()
    if arguments.worker:
        # Keras takes its backend from the environment of the worker.
        from saving import report

        report.work(arguments.quick, not arguments.no_peers)
    else:
        workers.run(arguments)


if __name__ == "__main__":
    main()
