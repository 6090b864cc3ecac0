"""Matrices, reliability diagrams and images show what they were given."""

import numpy as np
import pytest

from keras_mtl.metrics import ExpectedCalibrationError
from keras_mtl.visualization import plot_conflicts
from keras_mtl.visualization import plot_predictions
from keras_mtl.visualization import plot_reliability
from tests.visualization.rendering import render

RNG = np.random.default_rng(0)


def test_conflicts():
    cosines = np.array([[1.0, -0.3, 0.0], [-0.3, 1.0, np.nan], [0, np.nan, 1]])
    figure = render(plot_conflicts(cosines, ["a", "b", "c"]))
    axes = figure.axes[0]
    image = axes.images[0]
    np.testing.assert_array_equal(image.get_array().filled(np.nan), cosines)
    assert image.get_clim() == (-1.0, 1.0)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == list("abc")
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["1.00", "-0.30", "0.00", "-0.30", "1.00", "0.00", "1.00"]


def test_reliability_is_that_of_the_metric():
    probabilities = RNG.dirichlet(np.ones(3), size=200)
    labels = RNG.integers(0, 3, 200)
    figure = render(plot_reliability(probabilities, labels, num_bins=10))
    (axes,) = figure.axes
    metric = ExpectedCalibrationError(num_bins=10)
    metric.update_state(labels, probabilities.astype("float32"))
    # The title has one decimal.
    error = float(axes.get_title().split()[-2])
    assert abs(error - 100 * float(metric.result())) < 0.0501
    confidence = probabilities.max(axis=1)
    chosen = (confidence > 0.6) & (confidence <= 0.7)
    right = probabilities.argmax(axis=1)[chosen] == labels[chosen]
    bar = min(axes.patches, key=lambda bar: abs(bar.get_center()[0] - 0.65))
    np.testing.assert_allclose(bar.get_height(), right.mean())


def test_predictions():
    shape = (2, 4, 5)
    labels = RNG.integers(-1, 3, shape)
    depth = RNG.uniform(1, 5, (*shape, 1))
    normals = np.zeros((*shape, 3))
    normals[..., 2] = 7.0
    normals[0, 0, 0] = 0.0
    scores = RNG.random((*shape, 3))
    figure = render(
        plot_predictions(
            RNG.random((*shape, 3)),
            {"parts": scores, "depth": depth + 1, "normals": normals},
            {"parts": labels, "depth": depth, "normals": normals},
            {"parts": "classes", "depth": "depth", "normals": "normals"},
        )
    )
    panels = np.array(figure.axes[:14]).reshape(2, 7)
    assert [axes.get_title() for axes in panels[0]] == [
        "image",
        "parts\nprediction",
        "parts\nlabel",
        "depth\nprediction",
        "depth\nlabel",
        "normals\nprediction",
        "normals\nlabel",
    ]
    images = [[axes.images[0] for axes in row] for row in panels]
    np.testing.assert_array_equal(
        images[1][1].get_array(), scores[1].argmax(axis=-1)
    )
    np.testing.assert_array_equal(
        np.ma.getmaskarray(images[1][2].get_array()), labels[1] < 0
    )
    np.testing.assert_array_equal(images[0][4].get_array(), depth[0, ..., 0])
    limits = {image.get_clim() for row in images for image in row[3:5]}
    assert limits == {(depth.min(), depth.max())}
    # Straight ahead is (0, 0, 1); where there is no normal, nothing.
    colours = images[0][5].get_array()
    np.testing.assert_allclose(colours[1, 1], [0.5, 0.5, 1.0, 1.0])
    assert colours[0, 0, 3] == 0.0


IMAGE = np.zeros((1, 2, 2, 3))


def predict(kind, prediction):
    return plot_predictions(
        IMAGE, {"t": prediction}, {"t": prediction}, {"t": kind}
    )


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot_conflicts(np.eye(2), ["a"]), "`cosines` must be an arr"),
        (lambda: plot_conflicts([[2.0]], ["a"]), r"must be in \[-1, 1\]: div"),
        (lambda: plot_reliability([[2.0]], [0]), r"must be in \[0, 1\]: apply"),
        (lambda: plot_reliability([[0.5]], [0, 1]), "`labels` must be an arra"),
        (lambda: plot_reliability([[0.5]], [0], 0), "`num_bins` must be an in"),
        (lambda: predict("edges", IMAGE), r"`kinds\['t'\]` must be one of"),
        (lambda: predict("depth", IMAGE[:, :1]), "`predictions` must have an"),
        (lambda: predict("depth", IMAGE), "must have one number per pixel"),
        (lambda: predict("normals", IMAGE[..., :2]), "must have vectors of 3"),
    ],
)
def test_refuses_arguments(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
