"""The losses on a plane, and the weights after it."""

import numpy as np
import pytest

from keras_mtl.visualization import plot_loss_landscape
from tests.training import toy
from tests.visualization.rendering import render


@pytest.fixture
def model():
    return toy.compiled(toy.make_model(), "ew")


def test_has_the_model_in_its_middle_and_restores_it(model, monkeypatch):
    x, y = toy.data()
    seen = []
    evaluate = model.evaluate

    def recorded(**arguments):
        weights = toy.weights(model)
        logs = evaluate(**arguments)
        seen.append((weights, logs))
        return logs

    monkeypatch.setattr(model, "evaluate", recorded)
    start = toy.weights(model)
    figure = render(plot_loss_landscape(model, x, y, num_points=3, span=0.5))
    toy.assert_same(toy.weights(model), start)
    titles = [axes.get_title() for axes in figure.axes[:2]]
    assert titles == ["left loss", "right loss"]
    assert len(seen) == 9
    toy.assert_same(seen[4][0], start)
    assert evaluate(x, y, verbose=0, return_dict=True) == seen[4][1]
    # A step to the side is as long as its share of each filter, and biases
    # stay; float32 adds it with a rounding error.
    for weights, there in zip(start, seen[5][0], strict=True):
        if weights.ndim == 1:
            np.testing.assert_array_equal(weights, there)
            continue
        np.testing.assert_allclose(
            np.linalg.norm(there - weights, axis=0),
            0.5 * np.linalg.norm(weights, axis=0),
            rtol=1e-5,
        )


def test_restores_the_weights_after_an_error(model):
    x, y = toy.data()
    start = toy.weights(model)
    with pytest.raises(ValueError):
        plot_loss_landscape(model, x[:, :2], y, num_points=3)
    toy.assert_same(toy.weights(model), start)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_points": 4}, "`num_points` must be odd"),
        ({"num_points": 1}, "`num_points` must be an integer, at least 3"),
        ({"span": 0.0}, "`span` must be a number in"),
        ({"tasks": ["up"]}, "`tasks` must name tasks of the model"),
    ],
)
def test_refuses_arguments(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        plot_loss_landscape(model, *toy.data(), **arguments)
