"""Times one training step, against plain Keras and hand-written loops.

```shell
python benchmarks/step_time.py [--backend jax] [--network lenet]
```

See `benchmarks/README.md` for what is compared with what.
"""

import argparse
import os
import platform
import subprocess
import sys

BACKENDS = ("tensorflow", "jax", "torch")
NETWORKS = ("lenet", "mlp")

#: What torch, TensorFlow (two of them) and JAX take the number from.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "NPROC",
)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backend", choices=(*BACKENDS, "all"), default="all")
    parser.add_argument("--network", choices=(*NETWORKS, "all"), default="all")
    parser.add_argument(
        "--seconds",
        type=float,
        default=40.0,
        help="time to spend on each network and backend, without compiling",
    )
    parser.add_argument(
        "--only",
        nargs="*",
        default=[],
        metavar="STEP",
        help="names of the steps to time, with those they are compared with",
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        help="threads of the framework; 0 leaves the choice to it",
    )
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    arguments = parse()
    if arguments.worker:
        work(arguments)
        return
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


def work(arguments):
    """Prints the tables of one backend, the one that Keras runs on."""
    from steps import table
    from steps import timing
    from steps import variants

    print(f"\n## {variants.floor_module().describe()}", flush=True)
    chosen = NETWORKS if arguments.network == "all" else (arguments.network,)
    for network in chosen:
        makers = variants.makers(network)
        if arguments.only:
            wanted = {*arguments.only}
            wanted |= {variants.REFERENCES.get(name) for name in wanted}
            makers = {k: v for k, v in makers.items() if k in wanted}
        steps, first_calls = timing.prepare(makers)
        before = os.getloadavg()[0]
        times = timing.measure(steps, arguments.seconds)
        after = os.getloadavg()[0]
        rows = timing.summary(times, variants.REFERENCES)
        rounds = len(next(iter(times.values())))
        print(
            f"\n### {network}: {rounds} rounds, load average "
            f"{before:.1f} before, {after:.1f} after\n"
        )
        print(table.markdown(rows, first_calls), flush=True)


if __name__ == "__main__":
    main()
