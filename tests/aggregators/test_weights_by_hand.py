"""Weights from a Gramian, asked for without a training step."""

import numpy as np
import pytest

from keras_mtl import aggregators
from tests.aggregators.test_all import MAKERS
from tests.backend_tools import numpy
from tests.backend_tools import tensor

GRAMIAN_METHODS = [
    name
    for name, make in MAKERS.items()
    if isinstance(make(), aggregators.GramianAggregator)
]
ROWS = np.random.default_rng(5).normal(size=(5, 7)).astype("float32")
LOSSES = np.array([0.5, 2.0, 1.0, 0.1, 4.0], "float32")
# Sums of five products of float32 numbers, weights up to about 5.
TOLERANCE = 1e-4


@pytest.mark.parametrize("name", GRAMIAN_METHODS)
def test_the_weights_are_those_of_the_call(name):
    by_call = MAKERS[name]()
    by_hand = MAKERS[name]()
    for scale in (1.0, 0.5):
        rows = (scale * ROWS[::-1]) if scale < 1 else ROWS
        rows = np.ascontiguousarray(rows)
        weights = by_hand.compute_weights(rows @ rows.T, LOSSES)
        assert tuple(weights.shape) == (5,)
        np.testing.assert_allclose(
            numpy(weights) @ rows,
            numpy(by_call(tensor(rows), LOSSES)),
            atol=TOLERANCE,
            rtol=TOLERANCE,
        )


@pytest.mark.parametrize("name", GRAMIAN_METHODS)
@pytest.mark.parametrize("kind", ["list", "bools", "tensor"])
def test_masks_of_every_kind(name, kind):
    bools = [True, True, False, True, True]
    mask = {
        "list": [float(there) for there in bools],
        "bools": np.array(bools),
        "tensor": tensor(np.array(bools)),
    }[kind]
    gramian = ROWS @ ROWS.T
    weights = numpy(MAKERS[name]().compute_weights(gramian, LOSSES, mask))
    assert weights[2] == 0
    assert np.any(weights)


def test_lazy_weights_are_kept_by_hand_too():
    lazy = aggregators.NashMTL(update_every=2)
    first = numpy(lazy.compute_weights(np.eye(2, dtype="float32")))
    other = np.diag([1.0, 4.0]).astype("float32")
    kept = numpy(lazy.compute_weights(other))
    # The bound on the norm of the update acts on what was kept.
    np.testing.assert_allclose(kept[0] / kept[1], first[0] / first[1])
