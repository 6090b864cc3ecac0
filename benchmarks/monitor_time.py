"""Times what `keras_mtl.callbacks.TaskMonitor` adds to a training step.

```shell
python benchmarks/monitor_time.py [--backend jax] [--quick]
```

See `benchmarks/README.md` for what is compared with what.
"""

import argparse

from steps import workers

NETWORKS = ("lenet", "mlp")

#: Names of rows and their strategies.
STRATEGIES = {"EW": "ew", "MGDA": "mgda", "FS-MTL (CAGrad)": "fs_mtl"}


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    workers.add_arguments(parser)
    parser.add_argument("--network", choices=(*NETWORKS, "all"), default="all")
    parser.add_argument(
        "--seconds",
        type=float,
        default=40.0,
        help="time to spend on each table, without compiling",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="two rounds of the first strategy, to see that it runs",
    )
    return parser.parse_args()


def main():
    arguments = parse()
    if arguments.worker:
        work(arguments)
    else:
        workers.run(arguments)


def work(arguments):
    """Prints the tables of one backend, the one that Keras runs on."""
    from steps import variants
    from steps.timed_table import print_table

    print(f"\n## {variants.floor_module().describe()}", flush=True)
    chosen = NETWORKS if arguments.network == "all" else (arguments.network,)
    for network in chosen:
        names = list(STRATEGIES)[: 1 if arguments.quick else None]
        makers, references = steps_of(network, names)
        seconds = 0 if arguments.quick else arguments.seconds
        print_table(network, makers, references, seconds, digits=3)


def steps_of(network, names):
    """Returns, by name, what prepares the steps, and their references."""
    import keras
    from steps import variants
    from steps.networks import NETWORKS as PROBLEMS

    makers, references = {}, {}

    def by(strategy, watched):
        def make():
            # Each row trains weights of its own, from the same values.
            keras.utils.set_random_seed(0)
            problem = PROBLEMS[network]().build()
            return variants.strategy_step(problem, strategy, watched)

        return make

    for name in names:
        makers[name] = by(STRATEGIES[name], watched=False)
        # What the same step differs by from itself.
        for other, watched in (("again", False), ("monitored", True)):
            makers[f"{name}, {other}"] = by(STRATEGIES[name], watched)
            references[f"{name}, {other}"] = name
    return makers, references


if __name__ == "__main__":
    main()
