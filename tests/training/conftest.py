"""What tests of the training step compare with."""

import pytest

from training import toy


@pytest.fixture(scope="module")
def reference():
    """Weights and history of a plain run of FS-MTL."""
    model = toy.make_model()
    toy.compiled(model, toy.fresh_strategy("fs_mtl"))
    history = toy.fit(model)
    return toy.weights(model), history
