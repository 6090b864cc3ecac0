"""The library's methods as a training step calls them, and their inputs."""

import keras
import numpy as np

from keras_mtl import aggregators
from keras_mtl.solvers.namespace import HOST
from keras_mtl.solvers.random_numbers import random_orders
from solving import exact

SIZE = 200
KINDS = ("random", "conflicting", "near-singular")

#: Name, our aggregator, the exact weights. CAGrad without its last division.
METHODS = {
    "MGDA": (aggregators.MGDA, exact.mgda),
    "CAGrad": (lambda: aggregators.CAGrad(0.4, rescale=0), exact.cagrad),
    "UPGrad": (aggregators.UPGrad, exact.upgrad),
    "DualProj": (aggregators.DualProj, exact.dual_proj),
    "NashMTL": (lambda: aggregators.NashMTL(max_norm=0), exact.nash_mtl),
    "FairGrad": (lambda: aggregators.FairGrad(2.0), exact.fairgrad),
    "IMTLG": (aggregators.IMTLG, exact.imtl_g),
    "AlignedMTL": (aggregators.AlignedMTL, exact.aligned_mtl),
    "ConFIG": (aggregators.ConFIG, exact.config),
    "ConicGrad": (lambda: aggregators.ConicGrad(0.5), exact.conicgrad),
    "PCGrad": (lambda: aggregators.PCGrad(seed=0), exact.pcgrad),
}


def make_rows(kind, num_tasks):
    """Returns float32 rows `[K, P]`."""
    generator = np.random.default_rng(num_tasks)
    rows = generator.normal(size=(num_tasks, SIZE))
    if kind == "conflicting":
        rows = rows - 1.15 * rows.mean(axis=0)
    if kind == "near-singular":
        rows = generator.normal(size=(1, SIZE)) + 1e-3 * rows
    return rows.astype("float32")


def rounded_gramian(rows):
    """Returns the Gramian, exact up to one rounding to float32."""
    rows = rows.astype("float64")
    return (rows @ rows.T).astype("float32")


def next_orders(call, num_tasks):
    """Returns the visiting orders of the next call of PCGrad."""
    (seed,) = call.state()
    return random_orders(HOST, np.asarray(seed, "int64"), num_tasks)


def exact_weights(name, rows, orders):
    solve = METHODS[name][1]
    rows = np.asarray(rows, "float64")
    return solve(rows, orders) if name == "PCGrad" else solve(rows)


def callers(num_tasks):
    """Returns a function of a Gramian for each method."""
    found = {}
    for name, (make, _) in METHODS.items():
        aggregator = make()
        aggregator.build([(num_tasks, SIZE)])
        found[name] = Caller(aggregator.compute_weights, aggregator.variables)
    return found


class Caller:
    """A function of a Gramian, compiled where training steps are.

    Args:
        function: Takes a Gramian as a tensor, returns a tensor.
        variables: State that it reads and assigns to.

    Call arguments:
        gramian: Tensor.

    Returns:
        An array.
    """

    def __init__(self, function, variables=()):
        self.variables = list(variables)
        self.function = function
        backend = keras.backend.backend()
        self.pure = backend == "jax"
        if backend == "tensorflow":
            import tensorflow as tf

            self.function = tf.function(
                function, jit_compile=True, autograph=False
            )
        if self.pure:
            import jax

            self.function = jax.jit(self._stateless)
            self.values = [variable.value for variable in self.variables]
            self.original = function

    def _stateless(self, values, gramian):
        pairs = list(zip(self.variables, values, strict=True))
        with keras.StatelessScope(pairs) as scope:
            result = self.original(gramian)
        return result, [scope.get_current_value(v) for v in self.variables]

    def __call__(self, gramian):
        if self.pure:
            result, self.values = self.function(self.values, gramian)
            return np.asarray(result)
        return self.function(gramian).numpy()

    def state(self):
        if self.pure:
            return [np.asarray(value) for value in self.values]
        return [keras.ops.convert_to_numpy(v.value) for v in self.variables]
