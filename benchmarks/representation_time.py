"""Times steps whose task gradients stop early, or are taken now and then.

```shell
python benchmarks/representation_time.py [--backend jax] [--quick]
```

See `benchmarks/README.md` for what is compared with what.
"""

from steps import workers

NETWORKS = ("lenet", "mlp")


def parse():
    quick = "two rounds with the first number of tasks"
    parser = workers.make_parser(__doc__, quick)
    workers.add_timing(parser, 20.0, NETWORKS)
    parser.add_argument(
        "--tasks",
        type=int,
        nargs="+",
        default=[2, 4, 8],
        metavar="K",
        help="numbers of tasks",
    )
    return parser.parse_args()


def main():
    workers.start(parse(), work)


def work(arguments):
    """Prints the tables of one backend, the one that Keras runs on."""
    from steps import variants
    from steps.timed_table import print_table

    print(f"\n## {variants.floor_module().describe()}", flush=True)
    counts = arguments.tasks[:1] if arguments.quick else arguments.tasks
    for network in arguments.network:
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
    from steps import networks
    from steps import variants

    import keras_mtl

    @networks.fresh
    def problem():
        return networks.NETWORKS[network]().with_tasks(count)

    def by(**kwargs):
        strategy = keras_mtl.Strategy(aggregator="mgda", **kwargs)
        return lambda: variants.strategy_step(problem(), strategy)

    return {
        variants.PLAIN: lambda: variants.plain_step(problem()),
        "MGDA, parameters": by(),
        "MGDA, representation": by(gradients="representation"),
        "MGDA, last shared": by(weights_from="last_shared"),
        "MGDA, every tenth": by(update_every=10),
    }


if __name__ == "__main__":
    main()
