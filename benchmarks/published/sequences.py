"""Aggregators with a state: six steps each, on fresh objects.

Deviations are those of the updates. Those that may cancel are divided by the
largest row norm, as all are here.
"""

from functools import partial

import numpy as np

from keras_mtl import aggregators
from keras_mtl.aggregators.gradvac import vaccine_weights
from published.matrices import arrived
from published.matrices import largest_norm
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import load

GROUPS = ("k2p10", "k3p2", "k3p10", "k5p10", "k8p10")


def file_of(variant):
    return f"sequences_{variant.split('.')[0].lower()}"


def plain(make, variant, file=None, log=False, accept=None):
    """Yields `(actual, expected, scale)`, with losses where they are used."""
    values = load(file or file_of(variant))
    for group in GROUPS:
        if f"{variant}/{group}/vector" not in values:
            continue
        jacobians = values[f"{group}/J"]
        aggregator = make(jacobians.shape[1])
        for step, rows in enumerate(jacobians):
            losses = values[f"{group}/L"][step]
            if log:
                rows = rows / (losses[:, None] + 1e-8)
            update = aggregator(tensor(rows), losses=tensor(losses))
            if accept and not accept(values, f"{variant}/{group}", step):
                continue
            expected = values[f"{variant}/{group}/vector"][step]
            yield numpy(update), expected, largest_norm(rows, losses)


def sampled(make, variant, order, descends):
    """The same for methods of three independent samples."""
    values = load(file_of(variant))
    for group in GROUPS:
        steps = values[f"{group}/J3"]
        aggregator = make()
        dtype = tensor(steps[0]).dtype
        aggregator.build(
            [steps.shape[2:]], "float64" if "64" in str(dtype) else "float32"
        )
        for step, samples in enumerate(steps):
            parts = [
                aggregators.Jacobian(stacks=[tensor(rows)])
                for rows in samples[order]
            ]
            (update,) = aggregator.aggregate_samples(parts)
            # TorchJD's archives hold weights.
            vectors = values.get(f"{variant}/{group}/vector")
            if vectors is None:
                weights = values[f"{variant}/{group}/weights"][step]
                expected = weights @ samples[descends]
            else:
                expected = vectors[step]
            yield numpy(update), expected, largest_norm(samples[descends], None)


def gradvac(variant):
    """For the orders that were drawn."""
    values = load(file_of(variant))
    for group in GROUPS:
        num_tasks = values[f"{group}/J"].shape[1]
        targets = tensor(np.zeros((num_tasks, num_tasks)))
        for step, rows in enumerate(values[f"{group}/J"]):
            orders = values[f"{variant}/{group}/orders"][step]
            weights, targets = vaccine_weights(
                tensor(rows @ rows.T), tensor(orders.astype("int32")), targets
            )
            expected = values[f"{variant}/{group}/vector"][step]
            yield numpy(weights) @ rows, expected, largest_norm(rows, None)


def solved(every):
    """Whether the published solver found Nash-MTL's solution in a step."""

    def accept(values, prefix, step):
        step = step - step % every
        rows = values[f"{prefix.split('/')[1]}/J"][step]
        weights = values[f"{prefix}/weights"][step]
        return arrived(1.0)(rows, {"weights": weights}.get)

    return accept


def entries():
    """Yields `(method, variant, deviations)`, the last one a generator."""
    for beta, sigma in ((0.0, 0.0), (0.5, 0.5), (0.9, 0.0), (0.9, 0.5)):
        yield (
            *("DBMTL", f"LibMTL.beta{beta}.sigma{sigma}"),
            plain(
                lambda k, b=beta, s=sigma: aggregators.DBMTL(b, s),
                f"beta{beta}.sigma{sigma}",
                "db_mtl",
                log=True,
            ),
        )
    wrapped = {
        "IMTLG": aggregators.IMTLG,
        "MGDA": aggregators.MGDA,
        "UPGrad": partial(aggregators.UPGrad, None, 1e-4, 1e-4),
    }
    for name, make in wrapped.items():
        for ending in ("alpha0.5", "alpha0.9", "alpha0.9.init"):
            if ending.endswith("init") and name != "UPGrad":
                continue

            def smooth(k, make=make, ending=ending):
                start = np.ones(k) / k if ending.endswith("init") else None
                return aggregators.CRMOGM(make(), float(ending[5:8]), start)

            variant = f"torchjd.CRMOGM.{name}.{ending}"
            yield f"CRMOGM({name})", variant, plain(smooth, variant)
    for variant, arguments in (
        ("LibMTL.ExcessMTL.eta0.01", {}),
        ("LibMTL.ExcessMTL.eta1.0", {"robust_step_size": 1.0}),
        *(
            (
                f"torchjd.ExcessMTL.eta{eta}.warmup{warmup}",
                {
                    "robust_step_size": eta,
                    "num_warmup_steps": warmup,
                    "scale": "mean",
                    "epsilon": 1e-7,
                },
            )
            for eta, warmup in ((0.01, 0), (1.0, 0), (1.0, 2))
        ),
    ):
        yield (
            *("ExcessMTL", variant),
            plain(lambda k, a=arguments: aggregators.ExcessMTL(**a), variant),
        )
    variant = "LibMTL.GradNorm"
    yield (
        *("GradNorm", variant),
        plain(lambda k: aggregators.GradNorm(1.5, 0.1), variant),
    )
    for variant in ("torchjd.GradVac", "LibMTL.GradVac"):
        yield "GradVac", variant, gradvac(variant)
    for rho in (0.0, 0.1):
        variant = f"LibMTL.MoCo.rho{rho}"
        yield (
            *("MoCo", variant),
            plain(lambda k, rho=rho: aggregators.MoCo(rho=rho), variant),
        )
    for variant, gamma in (
        ("LibMTL.MoDo", 1e-3),
        ("LibMTL.MoDo.gamma0.1", 0.1),
        ("torchjd.MoDo", 0.1),
    ):
        make = partial(aggregators.MoDo, gamma)
        yield "MoDo", variant, sampled(make, variant, [0, 1, 2], 2)
    for variant, rate in (
        ("LibMTL.SDMGrad", 5.0),
        ("torchjd.SDMGrad", 10.0),
        ("torchjd.SDMGrad.lr5", 5.0),
    ):
        make = partial(aggregators.SDMGrad, learning_rate=rate)
        yield "SDMGrad", variant, sampled(make, variant, [1, 2, 0], 0)
    for source in ("LibMTL.Nash_MTL", "nashmtl.NashMTL", "torchjd.NashMTL"):
        for every in (1, 2):
            variant = f"{source}.every{every}"
            yield (
                *("NashMTL, sequence", variant),
                plain(
                    lambda k, n=every: aggregators.NashMTL(update_every=n),
                    variant,
                    accept=solved(every),
                ),
            )
    for tau, beta in ((0.02, 0.999), (0.5, 0.9)):
        variant = f"torchjd.PCD.tau{tau}.beta{beta}"
        yield (
            *("PCD, sequence", variant),
            plain(lambda k, t=tau, b=beta: aggregators.PCD(t, b), variant),
        )
