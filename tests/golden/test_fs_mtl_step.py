"""One step of FS-MTL against the released code, executed.

The vectors are described in tests/data/README.md.
"""

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl
from keras_mtl import aggregators
from keras_mtl import backend
from keras_mtl.aggregators.pcgrad import projection_weights
from keras_mtl.flatness import TaskSAM
from keras_mtl.strategies import FSMTL
from keras_mtl.training.batch import Batch
from keras_mtl.training.passes import FirstPass
from keras_mtl.training.point import Point
from keras_mtl.training.values import Values
from tests.golden import fs_mtl_networks as published

# Keras computes in float64 throughout on TensorFlow only: JAX has none unless
# told before it starts, and on torch some layers answer in float32.
DOUBLE = keras.backend.backend() == "tensorflow"
DTYPE = "float64" if DOUBLE else "float32"


@pytest.fixture(autouse=True)
def double_precision():
    before = keras.config.floatx()
    keras.config.set_floatx(DTYPE)
    yield
    keras.config.set_floatx(before)


def cases(networks=("mlp", "conv", "convbn")):
    for network in networks:
        for convention in ("joint", "separate"):
            for heads in (2, 3):
                for adaptive in (False, True):
                    radii = (
                        ("0.05",)
                        if network == "convbn"
                        else (
                            "0",
                            "0.05",
                            "2",
                        )
                    )
                    for rho in radii:
                        yield convention, network, heads, adaptive, rho


def marked(case, *more):
    """Marks what the two other networks and other settings cover already."""
    _, network, _, adaptive, rho = case
    is_slow = network == "conv" and (adaptive or rho != "0.05")
    marks = [pytest.mark.slow] if is_slow else []
    return pytest.param((*case, *more), marks=marks, id=str((*case, *more)))


class Case:
    """A model, a batch and the published values of its step."""

    def __init__(self, convention, network, heads, adaptive, rho):
        self.convention, self.network, self.heads = convention, network, heads
        self.adaptive, self.rho = adaptive, float(rho)
        prefix = f"{convention}/{network}/h{heads}/adaptive{int(adaptive)}"
        prefix = f"{prefix}/rho{rho}/"
        arrays = published.load(
            published.case_file(convention, network, adaptive)
        )
        self.values = {
            key.removeprefix(prefix): value
            for key, value in arrays.items()
            if key.startswith(prefix)
        }
        self.methods = published.META["methods"][
            f"{convention}/{network}/h{heads}"
        ]
        self.model = published.make_model(network, heads, DTYPE)
        self.x, self.y = published.batch(network, heads, DTYPE)

    def compile(self, strategy):
        # Tracing and compiling dominate the time: one net does for all.
        compiled = (
            self.network == "mlp"
            and self.convention == "separate"
            and self.heads == 3
            and self.rho == 0.05
            and not self.adaptive
        )
        self.model.compile(
            keras.optimizers.SGD(published.LEARNING_RATE),
            published.losses(self.heads, DTYPE),
            strategy=strategy,
            run_eagerly=not compiled,
        )

    def split(self, flat, part):
        return published.split(self.model, self.network, self.heads, flat, part)

    def variables(self):
        return dict(published.parameters(self.model, self.network, self.heads))

    def names(self, part):
        return list(self.split(np.zeros(self.size(part)), part))

    def size(self, part):
        is_head = part == "heads"
        return sum(
            int(np.prod(shape))
            for name, shape in published.META["layout"][self.network]
            if name.startswith("task_") == is_head
            and not (name.startswith("task_3") and self.heads == 2)
        )

    def strategy(self, aggregator, combine="decomposed"):
        return FSMTL(
            aggregator,
            rho=self.rho,
            norm=self.convention,
            adaptive=self.adaptive,
            combine=combine,
        )

    def step(self, strategy):
        """Trains one step; returns minus the change over the rate."""
        self.compile(strategy)
        before = {
            name: ops.convert_to_numpy(variable.value).copy()
            for name, variable in self.variables().items()
        }
        self.model.train_on_batch(self.x, self.y)
        return {
            name: (before[name] - ops.convert_to_numpy(variable.value))
            / published.LEARNING_RATE
            for name, variable in self.variables().items()
        }


def assert_same(actual, expected, names, rtol, atol=0.0):
    """Compares flattened parts, relative to their norm."""
    actual = np.concatenate([np.ravel(actual[name]) for name in names])
    expected = np.concatenate([np.ravel(expected[name]) for name in names])
    error = np.linalg.norm(actual - expected)
    assert error <= rtol * np.linalg.norm(expected) + atol, (
        error,
        np.linalg.norm(expected),
    )


def tolerance(double, single=1e-4):
    """Relative tolerances; a step of 0.1 costs one digit of float32."""
    return double if DOUBLE else single


@pytest.mark.parametrize("case", [marked(case) for case in cases()])
def test_passes(case):
    """Losses, gradients, perturbations and gradients at the new points."""
    case = Case(*case)
    case.compile("ew")
    model, values = case.model, case.values
    sam = TaskSAM(rho=case.rho, norm=case.convention, adaptive=case.adaptive)
    sam.build(DTYPE)
    partition = model.partition()
    shared_names = case.names("shared")
    by_id = {id(v): name for name, v in case.variables().items()}
    order = [by_id[id(v)] for v in partition.shared_variables]
    assert sorted(order) == sorted(shared_names)
    values_now = Values(
        partition,
        model.network_variables(False),
        backend.Bypass(model, partition.variables),
    )
    batch = Batch(case.x, case.y, None)
    clean = FirstPass(Point(model, batch, values_now, backend.RandomReplay()))
    rtol = tolerance(1e-10)
    np.testing.assert_allclose(
        ops.convert_to_numpy(clean.losses), values["losses"], rtol=rtol
    )
    gradients = clean.task_gradients(ops.ones_like(clean.losses))
    head_names = case.names("heads")
    eps_heads = case.split(values["eps_head"], "heads")
    head_gradients = case.split(values["head_grad"], "heads")
    for k in range(case.heads):
        expected = {
            part: case.split(values[f"{part}_shared"][k], "shared")
            for part in ("g", "eps", "sam")
        }
        row = gradients.shared.rows[k]
        assert_same(named(order, row), expected["g"], order, rtol)
        own = gradients.own[k]
        own_order = [
            by_id[id(v)] for v in partition.task_variables[f"task_{k + 1}"]
        ]
        assert set(own_order) <= set(head_names)
        offsets = sam.perturb(
            clean.values_of(k),
            [*row, *own],
            sam.selected(clean.variables_of(k)),
            len(row),
            0,
        )
        assert_same(
            named(order, offsets[: len(row)]), expected["eps"], order, rtol
        )
        assert_same(
            named(own_order, offsets[len(row) :]), eps_heads, own_order, rtol
        )
        near = clean.near(offsets, task=k)
        np.testing.assert_allclose(
            ops.convert_to_numpy(near.losses)[0],
            values["losses_perturbed"][k],
            rtol=rtol,
        )
        sam_row, sam_own = near.task_gradient(ops.ones_like(near.losses[0]))
        assert_same(named(order, sam_row), expected["sam"], order, rtol)
        assert_same(named(own_order, sam_own), head_gradients, own_order, rtol)


def named(names, tensors):
    return {
        name: ops.convert_to_numpy(tensor)
        for name, tensor in zip(names, tensors, strict=True)
    }


@keras.saving.register_keras_serializable("test")
class RecordedPCGrad(aggregators.PCGrad):
    """PCGrad that visits tasks in a recorded order."""

    orders = None

    def compute_weights(self, gramian, losses=None, mask=None):
        return projection_weights(gramian, self.orders, mask)


def two_task_min_norm(rows):
    """Closed form of the min-norm point, and whether it is inside."""
    a, b = rows
    difference = a - b
    weight = (b - a) @ b / max(difference @ difference, 1e-300)
    inside = 0.001 < weight < 0.999
    weight = min(max(weight, 0.0), 1.0)
    return weight * a + (1 - weight) * b, inside


def expectation(case, method):
    """Published shared gradient, strategy and tolerance for a method.

    Returns:
        `(strategy, shared gradient, relative tolerance)`, or `None` where the
        released code has no finite answer.
    """
    values, heads = case.values, case.heads
    index = case.methods.index(method)
    direct = method.startswith("a-") or method == "ew"
    combine = "direct" if direct else "decomposed"
    name = method.removeprefix("a-")
    recorded = values["shared_grad"][index]
    if name == "ew":
        return case.strategy("mean", combine), recorded, tolerance(1e-9)
    if name == "pcgrad":
        strategy = case.strategy(RecordedPCGrad(), combine)
        orders = values.get(f"orders_{method}")
        if heads == 2:
            orders = np.array([[0, 1]] * (2 if direct else 4))
        first, second = orders[:heads], orders[-heads:]
        if not direct and case.convention == "joint":
            # That script aggregates the flat part first.
            first, second = second, first
        strategy.aggregator.orders = first
        if not direct:
            strategy.flat_aggregator.orders = second
        return strategy, recorded, tolerance(1e-9)
    if name == "imtl":
        if not values["ok"][index]:
            return None
        return case.strategy("imtl_g", combine), recorded, tolerance(1e-8)
    if name == "cagrad":
        exact = values[f"exact_{method}"]
        strategy = case.strategy(aggregators.CAGrad(c=0.4), combine)
        return strategy, exact, tolerance(1e-6)
    return mgda_expectation(case, method, direct, combine, recorded)


def mgda_expectation(case, method, direct, combine, recorded):
    values, heads = case.values, case.heads
    clean, sam = values["g_shared"], values["sam_shared"]
    # One script multiplies by the number of tasks, another normalises too.
    factor = heads if case.convention == "separate" else 1
    if heads == 2:
        parts = [sam] if direct else [clean, sam - clean]
        points = [two_task_min_norm(part) for part in parts]
        expected = sum(point for point, _ in points)
        if all(inside for _, inside in points):
            # The released code keeps the weights between .001 and .999.
            np.testing.assert_allclose(
                recorded / factor, expected, rtol=1e-7, atol=1e-12
            )
        return case.strategy("mgda", combine), expected, tolerance(1e-8)
    exact = values[f"exact_{method}"] / factor
    normalization = None
    if case.convention == "separate" and not direct:
        normalization = "l2"
    strategy = case.strategy(aggregators.MGDA(normalization), combine)
    return strategy, exact, tolerance(1e-6)


def method_cases():
    for case in cases():
        methods = published.META["methods"][f"{case[0]}/{case[1]}/h{case[2]}"]
        for method in methods:
            yield marked(case, method)


@pytest.mark.parametrize("case", list(method_cases()))
def test_step(case):
    """Aggregated gradient and parameters after one SGD step."""
    *case, method = case
    case = Case(*case)
    expected = expectation(case, method)
    if expected is None:
        # 0 / 0 in the released code: the plain method is the limit.
        assert case.rho == 0.0
        plain = Case(
            case.convention, case.network, case.heads, case.adaptive, "0"
        )
        change = case.step(case.strategy("imtl_g"))
        wanted = plain.step(keras_mtl.Strategy(aggregator="imtl_g"))
        assert_same(change, wanted, case.names("shared"), tolerance(1e-12))
        return
    strategy, shared, rtol = expected
    change = case.step(strategy)
    # In float32 the small flat part of the small radius has lost its digits,
    # and methods that normalise it have nothing left to work with.
    if not DOUBLE and case.rho < 1 and method not in ("ew", "a-mgda"):
        if not method.startswith("a-") and case.rho > 0:
            rtol = 2e-2
    names = case.names("shared")
    assert_same(change, case.split(shared, "shared"), names, rtol, 1e-12)
    heads = case.split(case.values["head_grad"], "heads")
    assert_same(change, heads, case.names("heads"), tolerance(1e-10), 1e-12)


@pytest.mark.parametrize("case", list(cases(networks=("convbn",))), ids=str)
def test_batch_normalization_moves_once(case):
    case = Case(*case)
    case.step(case.strategy("cagrad"))
    layer = case.model.get_layer("bn1")
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer.moving_mean.value),
        case.values["bn_mean"],
        rtol=tolerance(1e-10),
        atol=tolerance(1e-12, 1e-6),
    )
    # torch keeps the unbiased variance, Keras the biased one.
    samples = 7 * 5 * 5
    biased = 0.9 + (case.values["bn_var"] - 0.9) * (samples - 1) / samples
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer.moving_variance.value),
        biased,
        rtol=tolerance(1e-10, 1e-5),
    )
