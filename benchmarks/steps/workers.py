"""What the scripts share: one process for each backend."""

import argparse
import os
import platform
import subprocess
import sys

BACKENDS = ("tensorflow", "jax", "torch")

#: What torch, TensorFlow (two of them) and JAX take the number from.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "NPROC",
)


def make_parser(doc, quick):
    """Returns a parser with the arguments that `start` reads, and `--quick`.

    Args:
        doc: Docstring of the script.
        quick: What `--quick` leaves of it.
    """
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    add_running(parser, (*BACKENDS, "all"), "all", quick)
    parser.add_argument("--worker", action="store_true", help="internal")
    return parser


def add_running(parser, backends, default_backend, quick):
    """Adds `--backend`, `--threads` and `--quick`."""
    parser.add_argument("--backend", choices=backends, default=default_backend)
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        help="threads of the framework; 0 leaves the choice to it",
    )
    parser.add_argument(
        "--quick", action="store_true", help=f"{quick}, to see that it runs"
    )


def add_timing(parser, seconds, networks=None):
    """Adds the time to spend on a table, and the networks to choose from."""
    parser.add_argument(
        "--seconds",
        type=float,
        default=seconds,
        help="time to spend on each table, without compiling",
    )
    if networks is not None:
        parser.add_argument(
            "--network", nargs="+", choices=networks, default=networks
        )


def add_profile(parser):
    """Adds `--profile`."""
    parser.add_argument(
        "--profile",
        type=int,
        metavar="STEPS",
        help="in place of times, where they go: the profile of so many steps",
    )


def start(arguments, work):
    """Calls `work(arguments)` in a process for each chosen backend."""
    if arguments.worker:
        # Keras takes its backend from the environment of this process.
        work(arguments)
    else:
        run(arguments)


def run(arguments):
    """Calls the script again, as a worker, on each chosen backend."""
    print(f"{platform.machine()} {platform.system()}, {os.cpu_count()} cores")
    threads = arguments.threads or "default number of"
    print(f"Python {platform.python_version()}, {threads} thread(s)")
    sys.stdout.flush()
    chosen = BACKENDS if arguments.backend == "all" else (arguments.backend,)
    for backend in chosen:
        environment = {
            **os.environ,
            "KERAS_BACKEND": backend,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            **dict.fromkeys(
                THREAD_VARIABLES if arguments.threads else (),
                str(arguments.threads),
            ),
        }
        command = [sys.executable, *sys.argv, "--worker", "--backend", backend]
        subprocess.run(command, env=environment, check=True)
