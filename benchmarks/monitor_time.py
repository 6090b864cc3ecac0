"""Times what `keras_mtl.callbacks.TaskMonitor` adds to a training step.

```shell
python benchmarks/monitor_time.py [--backend jax] [--quick]
```

See `benchmarks/README.md` for what is compared with what.
"""

from steps import workers

NETWORKS = ("lenet", "mlp")

#: Names of rows and their strategies.
STRATEGIES = {"EW": "ew", "MGDA": "mgda", "FS-MTL (CAGrad)": "fs_mtl"}


def parse():
    parser = workers.make_parser(__doc__, "two rounds of the first strategy")
    workers.add_timing(parser, 40.0, NETWORKS)
    return parser.parse_args()


def main():
    workers.start(parse(), work)


def work(arguments):
    """Prints the tables of one backend, the one that Keras runs on."""
    from steps import variants
    from steps.timed_table import print_table

    print(f"\n## {variants.floor_module().describe()}", flush=True)
    for network in arguments.network:
        names = list(STRATEGIES)[: 1 if arguments.quick else None]
        makers, references = steps_of(network, names)
        seconds = 0 if arguments.quick else arguments.seconds
        print_table(network, makers, references, seconds, digits=3)


def steps_of(network, names):
    """Returns, by name, what prepares the steps, and their references."""
    from steps import networks
    from steps import variants

    makers, references = {}, {}
    problem = networks.fresh(networks.NETWORKS[network])

    def by(strategy, watched):
        return lambda: variants.strategy_step(problem(), strategy, watched)

    for name in names:
        makers[name] = by(STRATEGIES[name], watched=False)
        # What the same step differs by from itself.
        for other, watched in (("again", False), ("monitored", True)):
            makers[f"{name}, {other}"] = by(STRATEGIES[name], watched)
            references[f"{name}, {other}"] = name
    return makers, references


if __name__ == "__main__":
    main()
