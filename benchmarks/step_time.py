"""Times one training step, against plain Keras and hand-written loops.

```shell
python benchmarks/step_time.py [--backend jax] [--network lenet]
```

See `benchmarks/README.md` for what is compared with what.
"""

from steps import workers

NETWORKS = ("lenet", "mlp", "resnet18", "encoder_decoder")

#: Backends with a profiler that tells the times of operations on a CPU.
PROFILED = ("jax", "torch")


def parse():
    parser = workers.make_parser(__doc__, "two rounds of each step")
    workers.add_timing(parser, 40.0, NETWORKS)
    parser.add_argument(
        "--only",
        nargs="*",
        default=[],
        metavar="STEP",
        help="names of the steps to time, with those they are compared with",
    )
    workers.add_profile(parser)
    arguments = parser.parse_args()
    if arguments.profile is not None and arguments.backend not in PROFILED:
        parser.error(f"--profile needs --backend {' or '.join(PROFILED)}.")
    return arguments


def main():
    workers.start(parse(), work)


def work(arguments):
    """Prints the tables of one backend, the one that Keras runs on."""
    from steps import operations
    from steps import variants
    from steps.timed_table import print_table

    print(f"\n## {variants.floor_module().describe()}", flush=True)
    for network in arguments.network:
        makers = variants.makers(network)
        if arguments.only:
            wanted = {*arguments.only}
            wanted |= {variants.REFERENCES.get(name) for name in wanted}
            makers = {k: v for k, v in makers.items() if k in wanted}
        if arguments.profile is not None:
            operations.print_operations(network, makers, arguments.profile)
            continue
        seconds = 0 if arguments.quick else arguments.seconds
        print_table(network, makers, variants.REFERENCES, seconds)


if __name__ == "__main__":
    main()
