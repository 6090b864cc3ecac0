"""Curves show what they were given."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from keras_mtl.analysis import Sharpness
from keras_mtl.visualization import plot_losses
from keras_mtl.visualization import plot_pareto_front
from keras_mtl.visualization import plot_sharpness
from keras_mtl.visualization import plot_task_weights
from tests.visualization.rendering import render

WEIGHTS = np.array([[0.5, 0.5], [0.4, 0.6], [0.3, 0.7]])


@pytest.mark.parametrize(
    "weights",
    [
        WEIGHTS,
        {"a": WEIGHTS[:, 0], "b": WEIGHTS[:, 1], "c": [0.0]},
        # As `TaskMonitor` writes them.
        {"a_weight": WEIGHTS[:, 0], "b_weight": WEIGHTS[:, 1], "a_loss": [0.0]},
    ],
)
def test_task_weights(weights):
    figure = render(plot_task_weights(weights, ["a", "b"], xlabel="step"))
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["a", "b"]
    for line, column in zip(axes.lines, WEIGHTS.T, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
        np.testing.assert_array_equal(line.get_ydata(), column)
    assert len({line.get_color() for line in axes.lines}) == 2
    assert axes.get_xlabel() == "step"


def test_draws_on_axes_that_are_given():
    figure = Figure()
    axes = figure.subplots()
    assert plot_task_weights(WEIGHTS, ["a", "b"], ax=axes) is figure
    assert len(axes.lines) == 2


def test_losses_of_runs():
    ew = {"loss": [3.0, 2.0], "a_loss": [1.0, 0.5], "val_a_loss": [2.0, 1.5]}
    figure = render(
        plot_losses({"ew": ew, "uw": {"a_loss": [1.0, 0.7], "lr": [1.0, 1.0]}})
    )
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["loss", "a loss"]
    lines = figure.axes[1].lines
    drawn = [(line.get_linestyle(), list(line.get_ydata())) for line in lines]
    assert drawn == [("-", [1.0, 0.5]), ("--", [2.0, 1.5]), ("-", [1.0, 0.7])]
    assert lines[0].get_color() == lines[1].get_color() != lines[2].get_color()
    legend = [text.get_text() for text in figure.axes[1].get_legend().texts]
    assert legend == ["ew", "uw", "validation"]


def test_losses_of_one_run():
    figure = render(plot_losses({"a_loss": [1.0, 0.5], "b_loss": [2.0, 1.0]}))
    assert [len(axes.lines) for axes in figure.axes] == [1, 1]


def sharpness(rho, slope):
    return Sharpness(
        tasks=("a", "b"),
        losses=np.ones(2),
        rho=rho,
        gaps=slope * np.array([rho, np.square(rho)]),
        adaptive_rho=(),
        adaptive_gaps=np.empty((2, 0)),
        eigenvalues=None,
        residuals=None,
    )


def lines_of(axes):
    return [
        (line.get_label(), list(line.get_xdata()), list(line.get_ydata()))
        for line in axes.lines
    ]


def test_sharpness_over_radii():
    runs = {"ew": sharpness((0.0, 2.0, 1.0), 3.0), "uw": sharpness((1.0,), 2.0)}
    figure = render(plot_sharpness(runs))
    first, second = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]
    assert first.get_xlabel() == "radius"
    # In order of the radii.
    assert lines_of(first) == [
        ("ew", [0.0, 1.0, 2.0], [0.0, 3.0, 6.0]),
        ("uw", [1.0], [2.0]),
    ]
    assert lines_of(second)[0][2] == [0.0, 3.0, 12.0]
    legend = [text.get_text() for text in second.get_legend().texts]
    assert legend == ["ew", "uw"]
    with pytest.raises(ValueError, match="no adaptive SAM gaps.*adaptive_rho"):
        plot_sharpness(runs["ew"], adaptive=True)


@pytest.mark.parametrize("adaptive", [False, True])
def test_sharpness_over_epochs(adaptive):
    logs = {
        "a_loss": [1.0, 0.5],
        "a_sam_gap": [0.3, 0.2],
        "a_adaptive_sam_gap": [0.5, 0.4],
    }
    (axes,) = render(plot_sharpness(logs, adaptive)).axes
    assert axes.get_legend() is None
    ((_, places, gaps),) = lines_of(axes)
    assert places == [1, 2]
    assert gaps == logs["a_adaptive_sam_gap" if adaptive else "a_sam_gap"]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_pareto_front(sign):
    points = sign * np.array([[3.0, 1.0], [1.0, 3.0], [2.0, 2.0], [3.0, 3.0]])
    figure = render(
        plot_pareto_front(
            points,
            list("abcd"),
            reference=[sign * 4.0, sign * 4.0],
            higher_is_better=sign < 0,
            tasks=["left", "right"],
        )
    )
    (axes,) = figure.axes
    front, beaten = (c.get_offsets() for c in axes.collections[-2:])
    np.testing.assert_array_equal(front, points[:3])
    np.testing.assert_array_equal(beaten, points[3:])
    # The area: 1 x 3 + 1 x 2 + 1 x 1, as three columns.
    corners = axes.collections[0].get_paths()[0].vertices
    x, y = corners[:-1].T
    area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
    np.testing.assert_allclose(area, 1 + 2 + 3)
    assert {text.get_text() for text in axes.texts} == {*"abcd", "reference"}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("left", "right")


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot_task_weights(WEIGHTS, ["a"]), "`weights` must be an arr"),
        (lambda: plot_task_weights({"a": [1]}, ["b"]), r"no lists for \['b'\]"),
        (lambda: plot_losses({"accuracy": [1.0]}), "`histories` has no losses"),
        (lambda: plot_losses([1.0]), "`histories` must be what `fit` returns"),
        (
            lambda: plot_sharpness({"a_loss": [1.0]}),
            "`results` has no SAM gaps",
        ),
        (
            lambda: plot_sharpness(
                {"x": sharpness((1.0,), 1.0), "y": {"a_sam_gap": [1.0]}}
            ),
            "`results` must have results of one kind",
        ),
        (lambda: plot_pareto_front([[1, 2]], "ab"), "`points` must be an arra"),
        (
            lambda: plot_pareto_front([[1, np.nan]], "a"),
            "`points` must be finite",
        ),
    ],
)
def test_refuses_arguments(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
