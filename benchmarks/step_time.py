"""Times one training step, against plain Keras and hand-written loops.

```shell
python benchmarks/step_time.py [--backend jax] [--network lenet]
```

See `benchmarks/README.md` for what is compared with what.
"""

import argparse

from steps import workers

NETWORKS = ("lenet", "mlp", "resnet18", "encoder_decoder")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    workers.add_arguments(parser)
    parser.add_argument("--network", choices=(*NETWORKS, "all"), default="all")
    parser.add_argument(
        "--seconds",
        type=float,
        default=40.0,
        help="time to spend on each network and backend, without compiling",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="two rounds of each step, to see that it runs",
    )
    parser.add_argument(
        "--only",
        nargs="*",
        default=[],
        metavar="STEP",
        help="names of the steps to time, with those they are compared with",
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
        makers = variants.makers(network)
        if arguments.only:
            wanted = {*arguments.only}
            wanted |= {variants.REFERENCES.get(name) for name in wanted}
            makers = {k: v for k, v in makers.items() if k in wanted}
        seconds = 0 if arguments.quick else arguments.seconds
        print_table(network, makers, variants.REFERENCES, seconds)


if __name__ == "__main__":
    main()
