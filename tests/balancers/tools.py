"""Published values of loss weightings, and balancers in a compiled graph."""

import keras
import numpy as np

from tests.backend_tools import BACKEND
from tests.backend_tools import by_dtype
from tests.backend_tools import compiled
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import load

GROUPS = ("k2", "k3", "k5", "k8")


def published(variant):
    """Yields `(group, inputs, get)` for each number of tasks.

    Args:
        variant: Variant in `losses.npz`.

    Yields:
        `inputs(entry)` returns an input, `get(entry)` an output.
    """
    values = load("losses")
    for group in GROUPS:
        yield (
            group,
            lambda entry, group=group: values[f"{group}/{entry}"],
            lambda entry, group=group: values[f"{variant}/{group}/{entry}"],
        )


def ramp(num_tasks):
    """The weights 1, ..., K divided by their sum."""
    weights = np.arange(1.0, num_tasks + 1)
    return weights / weights.sum()


def check(actual, expected, label, double=1e-9, single=2e-5):
    """Compares weights, relative to the largest."""
    expected = np.asarray(expected)
    tolerance = by_dtype(actual, double, single)
    error = np.abs(numpy(actual) - expected).max()
    assert error <= tolerance * np.abs(expected).max(), (
        f"{label}: {numpy(actual)} is not {expected}"
    )


def call(balancer, losses, mask=None):
    """Calls a balancer on float64 where there is float64."""
    mask = None if mask is None else tensor(np.asarray(mask, "float64"))
    return balancer(tensor(np.asarray(losses, "float64")), mask)


def compiled_balancer(balancer, num_tasks):
    """Returns `step(losses, mask, new_losses)` that runs in a compiled graph.

    A call, and what the training step tells those who observe. State goes in
    and comes out as values, as in the trainers of JAX.
    """
    if not balancer.built:
        balancer.build(num_tasks, "float32")

    def step(losses, mask, new_losses):
        weights = balancer(losses, mask)
        if balancer.observes:
            balancer.observe(losses, new_losses, mask)
        return weights

    def pure(values, *arguments):
        pairs = list(zip(balancer.variables, values, strict=True))
        with keras.StatelessScope(pairs) as scope:
            weights = step(*arguments)
        return weights, [
            scope.get_current_value(variable) for variable in balancer.variables
        ]

    function = compiled(step if BACKEND == "torch" else pure)

    def run(losses, mask, new_losses):
        if BACKEND == "torch":
            return function(losses, mask, new_losses)
        values = [variable.value for variable in balancer.variables]
        weights, values = function(values, losses, mask, new_losses)
        for variable, value in zip(balancer.variables, values, strict=True):
            variable.assign(value)
        return weights

    return run
