"""The algebra of task gradients, whatever way they are laid out."""

import keras
import numpy as np
import pytest

from keras_mtl import aggregators
from keras_mtl import backend
from keras_mtl.aggregators import Jacobian
from tests.backend_tools import numpy
from tests.backend_tools import tensor

#: Of float32 sums of some tens of products.
TOLERANCE = 1e-5

generator = np.random.default_rng(0)
STACKS, OTHERS = (
    [generator.normal(size=(5, 2, 3)), generator.normal(size=(5, 4))]
    for _ in range(2)
)


def matrix(stacks):
    return np.concatenate([stack.reshape(5, -1) for stack in stacks], axis=1)


LEFT, RIGHT = matrix(STACKS), matrix(OTHERS)


@pytest.fixture(params=["rows", "stacks"])
def layout(request):
    return request.param


@pytest.fixture(params=[True, False], ids=["stacks", "fuses"])
def stacks_rows(request, monkeypatch):
    """Both orders of computing, of which each backend has one."""
    monkeypatch.setattr(backend, "STACKS_ROWS", request.param)


@pytest.fixture(params=[2, 9], ids=["together", "in_pairs"])
def stack_from(request, monkeypatch):
    monkeypatch.setattr(backend, "STACK_FROM", request.param)


def jacobian(layout, stacks=STACKS):
    parts = [tensor(stack, "float32") for stack in stacks]
    if layout == "stacks":
        return Jacobian(stacks=parts)
    return Jacobian(rows=[[part[k] for part in parts] for k in range(5)])


def close(actual, expected):
    np.testing.assert_allclose(
        numpy(actual), expected, rtol=TOLERANCE, atol=TOLERANCE
    )


@pytest.mark.usefixtures("stacks_rows", "stack_from")
def test_inner_products(layout):
    close(jacobian(layout).gramian(), LEFT @ LEFT.T)
    close(jacobian(layout).squared_norms(), np.sum(LEFT**2, axis=1))
    left, right = jacobian(layout), jacobian(layout, OTHERS)
    close(left.row_products(right), np.sum(LEFT * RIGHT, axis=1))
    close(left.cross_gramian(right), LEFT @ RIGHT.T)


def test_norms_are_read_from_a_known_gramian(layout):
    known = jacobian(layout)
    assert known.known_gramian is None
    gramian = known.gramian()
    assert known.known_gramian is gramian and known.gramian() is gramian
    np.testing.assert_array_equal(
        numpy(known.squared_norms()), np.diagonal(numpy(gramian))
    )


def test_combinations(layout):
    weights = np.array([0.5, -1.0, 2.0, 0.0, 3.0])
    left, right = jacobian(layout), jacobian(layout, OTHERS)
    combined = left.combine(tensor(weights, "float32"))
    assert [tuple(part.shape) for part in combined] == [(2, 3), (4,)]
    flat = np.concatenate([numpy(part).ravel() for part in combined])
    close(flat, weights @ LEFT)
    np.testing.assert_array_equal(numpy(left.row_weights), weights)
    scaled = left.scaled(tensor(weights, "float32"))
    close(scaled.gramian(), np.outer(weights, weights) * (LEFT @ LEFT.T))
    assert (scaled.num_tasks, scaled.dtype) == (5, "float32")
    for difference in (left - right, left.minus(right)):
        close(matrix(map(numpy, difference.stacks)), LEFT - RIGHT)
        assert (difference.num_tasks, difference.dtype) == (5, "float32")
    # One of each layout.
    mixed = jacobian("rows") - jacobian("stacks", OTHERS)
    close(matrix(map(numpy, mixed.stacks)), LEFT - RIGHT)


def test_parts(layout):
    whole = jacobian(layout)
    assert whole.shapes == [(5, 2, 3), (5, 4)]
    assert (whole.num_tasks, whole.num_variables) == (5, 2)
    last = whole.of_variables([1])
    assert last.shapes == [(5, 4)]
    close(last.stacks[0], STACKS[1])
    close(whole.of_variables([1, 0]).stacks[1], STACKS[0])
    close(whole.rows[3][1], STACKS[1][3])
    nothing = whole.of_variables([])
    assert (nothing.num_tasks, nothing.num_variables) == (5, 0)


@pytest.mark.parametrize("gathered", ["rows", "stacks", "wanted stacks"])
def test_gathered_rows(gathered, monkeypatch):
    count = 5 if gathered == "stacks" else 6
    stacked = gathered == "wanted stacks"
    monkeypatch.setattr(backend, "STACK_FROM", count)
    rows = jacobian("rows").rows
    found = Jacobian.gather(iter(rows), 5, "float32", stacked)
    close(found.gramian(), LEFT @ LEFT.T)
    # The same with memory that may be taken for the result.
    rows = jacobian("rows", OTHERS).rows
    other = Jacobian.gather(iter(rows), 5, "float32", stacked)
    close(matrix(map(numpy, found.minus(other).stacks)), LEFT - RIGHT)


def test_without_variables():
    for empty in (
        Jacobian(stacks=[], num_tasks=3),
        Jacobian(rows=[[], [], []]),
    ):
        zeros = np.zeros((3, 3))
        np.testing.assert_array_equal(numpy(empty.gramian()), zeros)
        np.testing.assert_array_equal(numpy(empty.squared_norms()), zeros[0])
        np.testing.assert_array_equal(
            numpy(empty.row_products(empty)), zeros[0]
        )
        assert empty.combine(tensor(np.ones(3), "float32")) == []


@pytest.mark.usefixtures("stacks_rows", "stack_from")
def test_half_precision_is_summed_up_in_single(layout):
    # Each square is 1; in float16 their sum would stop at 2048.
    half = Jacobian(stacks=[tensor(np.ones((5, 3000)), "float16")])
    if layout == "rows":
        half = Jacobian(rows=half.rows)
    assert half.dtype == "float32"
    ones = np.full((5, 5), 3000.0)
    np.testing.assert_array_equal(numpy(half.gramian()), ones)
    np.testing.assert_array_equal(numpy(half.squared_norms()), ones[0])
    np.testing.assert_array_equal(numpy(half.row_products(half)), ones[0])
    np.testing.assert_array_equal(numpy(half.cross_gramian(half)), ones)


def test_rows_or_stacks():
    for arguments in ({}, {"rows": [], "stacks": []}):
        with pytest.raises(ValueError, match="either `rows` or `stacks`"):
            Jacobian(**arguments)


def test_a_mask_has_the_dtype_of_the_gramian():
    class Present(aggregators.GramianAggregator):
        def compute_weights(self, gramian, losses=None, mask=None):
            # TensorFlow multiplies numbers of one dtype only.
            return keras.ops.diagonal(gramian) * mask

    rows = tensor(np.array([[1.0, 2.0], [3.0, 4.0]]))
    mask = tensor(np.array([0.0, 1.0], dtype="float32"))
    (update,) = Present().aggregate(Jacobian(stacks=[rows]), None, mask)
    np.testing.assert_allclose(numpy(update), [75.0, 100.0], rtol=1e-6)
