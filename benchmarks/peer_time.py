"""Times training steps against TorchJD and loops as scripts have them.

```shell
python benchmarks/peer_time.py [--network mlp] [--backend jax] [--quick]
```

On torch, unless told otherwise: the peers always run on torch, in the same
process. See `benchmarks/README.md` for what is compared with what.
"""

from steps import workers

NETWORKS = ("lenet", "resnet18", "mlp", "mlp_32")
METHODS = (
    "mgda",
    "upgrad",
    "pcgrad",
    "cagrad",
    "nash_mtl",
    "aligned_mtl",
    "fairgrad",
)
PLAIN, PLAIN_TORCH = "plain Keras", "plain torch"
FLAT, FLAT_SCRIPT = "fs_mtl", "script: FS-MTL"
RHO = 0.05


def parse():
    parser = workers.make_parser(__doc__, "two rounds of two methods")
    workers.add_timing(parser, 60.0, NETWORKS)
    parser.set_defaults(backend="torch")
    parser.add_argument(
        "--data-format",
        choices=("channels_first", "channels_last"),
        help="layout of the images of Keras: torch's, channels_first, on "
        "torch, and Keras's own on others, unless given",
    )
    parser.add_argument(
        "--methods", nargs="+", choices=(*METHODS, FLAT), default=[]
    )
    workers.add_profile(parser)
    arguments = parser.parse_args()
    if arguments.profile is not None and arguments.backend != "torch":
        parser.error("The profile tells of torch's operations only.")
    if arguments.quick:
        arguments.methods = ["upgrad", FLAT]
    arguments.methods = arguments.methods or [*METHODS, FLAT]
    return arguments


def main():
    workers.start(parse(), work)


def work(arguments):
    """Prints one table for each network."""
    # Before TensorFlow, which it cannot follow.
    import torch  # noqa: I001

    import keras
    import torchjd
    from steps import operations
    from steps import timed_table
    from steps import variants

    on_torch = keras.backend.backend() == "torch"
    keras.config.set_image_data_format(
        arguments.data_format
        or ("channels_first" if on_torch else "channels_last")
    )
    version = getattr(torchjd, "__version__", None) or version_of("torchjd")
    about = variants.floor_module().describe()
    if not on_torch:
        about = f"{about}, peers on torch {torch.__version__}"
    print(f"\n## {about}, torchjd {version}", flush=True)
    for network in arguments.network:
        makers, references = steps_of(network, arguments.methods)
        if arguments.profile is not None:
            operations.print_operations(network, makers, arguments.profile)
            continue
        seconds = 0 if arguments.quick else arguments.seconds
        timed_table.print_table(network, makers, references, seconds)
        print()
        for method in arguments.methods:
            share = difference(network, method)
            print(f"{method}: updates differ by {share:.1e} of their length")


def version_of(package):
    from importlib import metadata

    return metadata.version(package)


def problem_of(network):
    from steps import networks

    return networks.fresh(networks.NETWORKS[network])()


def steps_of(network, methods):
    """What prepares the steps, by name, and what each is compared with."""
    from steps import peer_torch
    from steps import variants

    makers = {
        PLAIN: lambda: variants.plain_step(problem_of(network)),
        PLAIN_TORCH: lambda: peer_torch.plain_step(problem_of(network))[0],
    }
    references = {}
    for method in methods:
        name, peer = method, f"TorchJD: {method}"
        if method == FLAT:
            peer = FLAT_SCRIPT
        references[name] = peer
        makers[name] = lambda method=method: variants.strategy_step(
            problem_of(network), strategy_of(method)
        )
        makers[peer] = lambda method=method: peer_step(network, method)[0]
    return makers, references


def strategy_of(method):
    import keras_mtl

    if method == FLAT:
        return keras_mtl.strategies.FSMTL(
            keras_mtl.aggregators.CAGrad(c=0.4, rescale=0), rho=RHO
        )
    if method == "cagrad":
        # TorchJD's is not divided by 1 + c^2.
        return keras_mtl.aggregators.CAGrad(c=0.4, rescale=0)
    return keras_mtl.strategies.get(method)


def peer_step(network, method, **kwargs):
    from steps import peer_torch

    problem = problem_of(network)
    if method == FLAT:
        return peer_torch.flat_step(problem, RHO, **kwargs)
    return peer_torch.aggregated_step(problem, method, **kwargs)


def difference(network, method):
    """How far the updates of one step are apart, relative to their length."""
    import keras
    import torch
    from steps import peer_torch

    import keras_mtl

    # A rate at which rounding errors of the weights do not matter.
    step, peer = peer_step(network, method, learning_rate=1.0)
    before = [value.detach().clone() for value in peer.trunk.parameters()]
    step()
    problem = problem_of(network)
    model = keras_mtl.MultiTaskModel(*problem.functional())
    model.compile(
        keras.optimizers.SGD(1.0),
        loss=problem.losses,
        strategy=strategy_of(method),
    )
    model.train_on_batch(problem.x, problem.y)
    ours = peer_torch.Network(problem).trunk.parameters()
    with torch.no_grad():
        update, expected = (
            torch.cat(
                [(a - b).flatten() for a, b in zip(end, before, strict=True)]
            )
            for end in (ours, peer.trunk.parameters())
        )
        return float((update - expected).norm() / expected.norm())


if __name__ == "__main__":
    main()
