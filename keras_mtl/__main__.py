"""The command line: `python -m keras_mtl`, or `keras-mtl`."""

import argparse
import sys
from collections.abc import Sequence

import keras_mtl
from keras_mtl.comparison import command as comparison
from keras_mtl.comparison import demo


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status.

    Args:
        arguments: The command and its options. Defaults to those that the
            program was started with.
    """
    parser = argparse.ArgumentParser(
        prog="keras-mtl",
        description="Multi-task learning for Keras 3.",
        epilog="The environment variable KERAS_BACKEND selects the backend.",
    )
    parser.add_argument(
        "--version", action="version", version=keras_mtl.__version__
    )
    commands = parser.add_subparsers(dest="command", metavar="command")
    demo_parser = commands.add_parser(
        "demo",
        help="compare strategies on embedded data; a table and a plot",
        description="Trains a small network with every strategy on images of "
        "two overlapping digits and compares them.",
    )
    demo.add_arguments(demo_parser)
    comparison_parser = commands.add_parser(
        "compare",
        help="compare strategies and backends; tables and a page of plots",
        description="Trains a model with every strategy, on every backend, "
        "from several seeds, and writes results.json, summary.csv, report.md, "
        "report.tex and report.html. Interrupted, it goes on where it stopped.",
    )
    comparison.add_arguments(comparison_parser)
    options = parser.parse_args(arguments)
    if options.command == "demo":
        return demo.main(options)
    if options.command == "compare":
        return comparison.main(options)
    parser.print_help()
    return 0


if __name__ == "__main__":
    sys.exit(main())
