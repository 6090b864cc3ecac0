"""Memory of a training step, by strategy and number of tasks.

```shell
python benchmarks/memory.py [--backend jax] [--quick]
```

See `benchmarks/README.md` for what is measured. Linux only.
"""

import gc
import subprocess
import sys

from steps import workers

PLAIN = "plain Keras"
LOW = 'MGDA, memory="low"'

#: Rows of the table: name, and the arguments of the strategy.
VARIANTS = {
    PLAIN: None,
    "equal weights": {},
    "MGDA": {"aggregator": "mgda"},
    LOW: {"aggregator": "mgda", "memory": "low"},
    "PCGrad": {"aggregator": "pcgrad"},
    "DB-MTL": {"balancer": "log", "aggregator": "db_mtl"},
}

#: On torch also these, by the names of our strategies.
PEERS = {"TorchJD: MGDA": "mgda", "TorchJD: PCGrad": "pcgrad"}


def parse():
    parser = workers.make_parser(__doc__, "two rows of a narrow network")
    parser.add_argument(
        "--tasks",
        type=int,
        nargs="+",
        default=[2, 8, 16],
        metavar="K",
        help="numbers of tasks",
    )
    parser.add_argument(
        "--width", type=int, default=2048, help="units of each hidden layer"
    )
    parser.add_argument(
        "--no-peers", action="store_true", help="without TorchJD, on torch"
    )
    parser.add_argument("--variant", help="internal")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.width, arguments.tasks = 256, arguments.tasks[:1]
    return arguments


def main():
    arguments = parse()
    if arguments.variant is not None:
        print(*peak_of(arguments.variant, arguments))
    else:
        workers.start(arguments, work)


def work(arguments):
    """Prints the table of one backend, the one that Keras runs on."""
    import keras
    from steps import table
    from steps import variants

    print(f"\n## {variants.floor_module().describe()}\n", flush=True)
    lines = [["step", *(f"{count} tasks" for count in arguments.tasks)]]
    peaks = {}
    names = [PLAIN, LOW] if arguments.quick else list(VARIANTS)
    on_torch = keras.backend.backend() == "torch"
    if on_torch and not arguments.quick and not arguments.no_peers:
        names += PEERS
    for name in names:
        cells = [name]
        for count in arguments.tasks:
            # In a process of its own: nothing is left of another one.
            peak, size = peak_in_child(name, count, arguments)
            peaks[name, count] = peak
            extra = (peak - peaks[PLAIN, count]) / size
            cells.append(
                f"{peak / 2**20:.0f} MiB" if name == PLAIN else f"{extra:+.1f}"
            )
        lines.append(cells)
    print(
        f"Trunk of {size / 4 / 1e6:.1f} million parameters. Below plain "
        "Keras: extra memory in multiples of the trunk's.\n"
    )
    print(table.aligned(lines), flush=True)


def peak_in_child(name, count, arguments):
    """Returns the peak of a process and the size of the trunk, in bytes."""
    command = [
        sys.executable,
        __file__,
        "--variant",
        name,
        "--tasks",
        str(count),
        "--width",
        str(arguments.width),
    ]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True
    )
    peak, size = done.stdout.split()[-2:]
    return int(peak), int(size)


def peak_of(name, arguments):
    """Makes steps; returns the peak while they run, and the trunk's size."""
    from steps import resident_memory
    from steps import variants
    from steps.networks import wide_mlp

    import keras_mtl

    problem = wide_mlp(arguments.width).with_tasks(arguments.tasks[0]).build()
    size = 4 * problem.trunk.count_params()
    if name in PEERS:
        from steps import peer_torch

        step, _ = peer_torch.aggregated_step(problem, PEERS[name])
    elif VARIANTS[name] is None:
        step = variants.plain_step(problem)
    else:
        strategy = keras_mtl.Strategy(**VARIANTS[name])
        step = variants.strategy_step(problem, strategy)
    # The peers have weights of their own.
    del problem
    gc.collect()
    for _ in range(3):
        step()
    resident_memory.reset_peak()
    for _ in range(3):
        step()
    return resident_memory.peak(), size


if __name__ == "__main__":
    main()
