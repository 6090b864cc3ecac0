"""Balancers: weights of the losses, relative to the largest."""

import numpy as np

from keras_mtl import balancers
from keras_mtl.balancers.rlw import random_weights
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.balancers.tools import call
from tests.balancers.tools import published
from tests.balancers.tools import ramp


def fresh(make):
    """A new balancer for every row of losses."""

    def compare(variant):
        for _, inputs, get in published(variant):
            for row, losses in enumerate(inputs("L")):
                yield call(make(len(losses)), losses), get("grad")[row]

    return compare


def learned(make):
    """One balancer for all rows of a number of tasks."""

    def compare(variant):
        for _, inputs, get in published(variant):
            balancer = make()
            for row, losses in enumerate(inputs("L")):
                yield call(balancer, losses), get("grad")[row]

    return compare


def famo(variant):
    for _, inputs, get in published(variant):
        least = get("min_losses") if variant.endswith("min_losses") else None
        balancer = balancers.FAMO(min_losses=least)
        for row, losses in enumerate(inputs("L")):
            yield call(balancer, losses), get("grad")[row]
            balancer.observe(tensor(losses), tensor(inputs("L_after")[row]))


def random(variant):
    for _, _, get in published(variant):
        for row, draws in enumerate(get("normal")):
            yield random_weights(tensor(draws)), get("grad")[row]


def dwa_of_one_batch(variant):
    for _, inputs, get in published(variant):
        balancer = balancers.DWA()
        for row, losses in enumerate(inputs("L")):
            yield call(balancer, losses), get("grad")[row]
            balancer.end_epoch()


def dwa_of_two_batches(variant):
    for _, inputs, get in published(variant):
        balancer = balancers.DWA()
        for epoch, batches in enumerate(inputs("L_batches")):
            for batch, losses in enumerate(batches):
                yield call(balancer, losses), get("grad")[epoch, batch]
            balancer.end_epoch()


def dwa_of_a_window(variant):
    """Where the sliding window there holds the last two whole epochs."""
    for _, inputs, get in published(variant):
        losses = inputs("L")
        balancer = balancers.DWA(steps_per_epoch=2)
        weights = [call(balancer, row) for row in [*losses, losses[0]]]
        for row in (3, 5, 7):
            yield weights[row + 1], get("grad")[row] * losses.shape[1]


def warmed_up(mu):
    def compare(variant):
        for _, inputs, get in published(variant):
            balancer = balancers.STCH(mu, warmup_epochs=3)
            last = 0
            for row, losses in enumerate(inputs("L")):
                if get("epoch")[row] != last:
                    balancer.end_epoch()
                    last = get("epoch")[row]
                yield call(balancer, losses), get("grad")[row]

    return compare


def reference(size):
    return np.linspace(0, 0.05, size)


def entries():
    """Yields `(method, variant, compare)`."""
    yield "Equal", "torchjd.Sum", fresh(lambda k: balancers.Equal())
    yield "Fixed", "torchjd.Mean", fresh(lambda k: balancers.Fixed([1 / k] * k))
    yield "Fixed", "torchjd.Constant", fresh(lambda k: balancers.Fixed(ramp(k)))
    name = "nashmtl.ScaleInvariantLinearScalarization"
    yield "Log", name, fresh(lambda k: balancers.Log(eps=0.0))
    for variant in ("torchjd.GeometricMean", "LibMTL.GLS"):
        yield "GLS", variant, fresh(lambda k: balancers.GLS())
    for variant, start in (
        ("torchjd.UW", 0.0),
        ("nashmtl.Uncertainty", 0.0),
        ("LibMTL.UW", -0.5),
    ):
        make = learned(lambda start=start: balancers.UW(start, 0.1, "sgd"))
        yield "UW", variant, make
    make = learned(lambda: balancers.IMTLL(0.0, 0.1, "sgd"))
    yield "IMTLL", "torchjd.IMTLL", make
    for variant in ("torchjd.FAMO", "torchjd.FAMO.min_losses", "LibMTL.FAMO"):
        yield "FAMO", variant, famo
    for variant in ("torchjd.Random", "LibMTL.RLW", "nashmtl.RLW"):
        yield "RLW", variant, random
    yield "DWA", "torchjd.DWA", dwa_of_two_batches
    yield "DWA", "LibMTL.DWA", dwa_of_one_batch
    yield "DWA", "nashmtl.DynamicWeightAverage.w2", dwa_of_a_window
    for lamda in (0.0, 0.5, 2.0):
        yield (
            *("COSMOS", f"torchjd.COSMOS.l{lamda}"),
            fresh(lambda k, v=lamda: balancers.COSMOS(ramp(k), v)),
        )
    for theta in (0.0, 5.0):
        yield (
            *("PBI", f"torchjd.PBI.t{theta}"),
            fresh(lambda k, t=theta: balancers.PBI(ramp(k), t)),
        )
        yield (
            *("PBI", f"torchjd.PBI.t{theta}.ref"),
            fresh(lambda k, t=theta: balancers.PBI(ramp(k), t, reference(k))),
        )
    for mu in (0.01, 0.1, 1.0):
        yield (
            *("STCH", f"torchjd.STCH.mu{mu}"),
            fresh(lambda k, mu=mu: balancers.STCH(mu)),
        )
        yield (
            *("STCH", f"torchjd.STCH.mu{mu}.wref"),
            fresh(lambda k, mu=mu: balancers.STCH(mu, ramp(k), reference(k))),
        )
    for mu in (0.1, 1.0):
        yield "STCH", f"LibMTL.STCH.mu{mu}", warmed_up(mu)


def compare(function, variant):
    """Yields `(actual, expected, scale)`."""
    for actual, expected in function(variant):
        expected = np.asarray(expected)
        yield numpy(actual), expected, np.linalg.norm(expected)
