"""Times steps and compilation as tasks, weights and batches grow.

```shell
python benchmarks/growth.py [--axis tasks] [--backend jax] [--quick]
```

See `benchmarks/README.md` for what is compared with what.
"""

from steps import workers

#: What grows, and the values it takes.
AXES = {
    "tasks": (2, 4, 8, 16, 40),
    "width": (256, 512, 1024, 2048, 4096),
    "batch": (32, 128, 512, 2048),
}

#: What does not grow on the other axes.
USUAL = {"tasks": 8, "width": 512, "batch": 256}

STRATEGIES = {
    "MGDA": "mgda",
    "PCGrad": "pcgrad",
    "NashMTL": "nash_mtl",
    "DB-MTL": "db_mtl",
    "FS-MTL (CAGrad)": "fs_mtl",
}


def parse():
    quick = "two rounds of one strategy at the first value"
    parser = workers.make_parser(__doc__, quick)
    workers.add_timing(parser, 15.0)
    parser.add_argument("--axis", choices=(*AXES, "all"), default="all")
    return parser.parse_args()


def main():
    workers.start(parse(), work)


def work(arguments):
    """Prints the tables of one backend, the one that Keras runs on."""
    from steps import variants
    from steps.timed_table import print_table

    print(f"\n## {variants.floor_module().describe()}", flush=True)
    count = 1 if arguments.quick else None
    for axis in AXES if arguments.axis == "all" else (arguments.axis,):
        for value in AXES[axis][:count]:
            steps, weights = makers(list(STRATEGIES)[:count], axis, value)
            print_table(
                f"{axis} {value}, {weights / 1e6:.2f} million weights",
                steps,
                dict.fromkeys(list(steps)[1:], variants.PLAIN),
                0 if arguments.quick else arguments.seconds,
            )


def makers(names, axis, value):
    """What prepares the steps, by name, and the size of the network."""
    from steps import networks
    from steps import variants

    sizes = {**USUAL, axis: value}

    @networks.fresh
    def problem():
        network = networks.mlp(sizes["width"], sizes["batch"])
        return network.with_tasks(sizes["tasks"])

    def strategy(name):
        return lambda: variants.strategy_step(problem(), STRATEGIES[name])

    steps = {variants.PLAIN: lambda: variants.plain_step(problem())}
    steps |= {name: strategy(name) for name in names}
    return steps, problem().trunk.count_params()


if __name__ == "__main__":
    main()
