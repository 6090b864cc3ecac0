"""Times a step whose task gradients stop at the output of the trunk.

```shell
python benchmarks/representation_time.py [--backend jax] [--quick]
```

See `benchmarks/README.md` for what is compared with what.
"""

import argparse

from steps import workers

NETWORKS = ("lenet", "mlp")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    workers.add_arguments(parser)
    parser.add_argument("--network", choices=(*NETWORKS, "all"), default="all")
    parser.add_argument(
        "--tasks",
        type=int,
        nargs="+",
        default=[2, 4, 8],
        metavar="K",
        help="numbers of tasks",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=20.0,
        help="time to spend on each table, without compiling",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="two rounds with the first number of tasks, to see that it runs",
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
    counts = arguments.tasks[:1] if arguments.quick else arguments.tasks
    for network in chosen:
        for count in counts:
            steps = makers(network, count)
            others = [name for name in steps if name != variants.PLAIN]
            print_table(
                f"{network}, {count} tasks",
                steps,
                dict.fromkeys(others, variants.PLAIN),
                0 if arguments.quick else arguments.seconds,
            )


def makers(network, count):
    """Returns, by name, functions that prepare a step of each row."""
    import keras
    from steps import variants
    from steps.networks import NETWORKS as PROBLEMS

    import keras_mtl

    def problem():
        # Each row trains weights of its own, from the same values.
        keras.utils.set_random_seed(0)
        return PROBLEMS[network]().with_tasks(count).build()

    def by(gradients):
        strategy = keras_mtl.Strategy(aggregator="mgda", gradients=gradients)
        return lambda: variants.strategy_step(problem(), strategy)

    return {
        variants.PLAIN: lambda: variants.plain_step(problem()),
        "MGDA, parameters": by("parameters"),
        "MGDA, representation": by("representation"),
    }


if __name__ == "__main__":
    main()
