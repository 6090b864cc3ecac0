"""Means and ranges over the seeds, and what of them is on a page."""

import re

import pytest

pytest.importorskip("matplotlib")

from keras_mtl.visualization.canvas import new_figure
from keras_mtl.visualization.seeds import Point
from keras_mtl.visualization.seeds import draw_bars
from keras_mtl.visualization.seeds import draw_seeds
from keras_mtl.visualization.seeds import points_of
from keras_mtl.visualization.svg import TIPS
from keras_mtl.visualization.svg import embedded_svg
from keras_mtl.visualization.svg import svg_style


def test_points_are_of_runs_that_got_there():
    points = points_of([[1.0, 4.0, None], [3.0], [2.0, 8.0, 1.0]])
    assert points == [Point(1, 2.0, 1.0, 3.0), Point(2, 6.0, 4.0, 8.0)]
    assert points_of([[]]) == [] == points_of([])


def test_curve_and_band():
    axes = new_figure((3, 2)).subplots()
    points = [Point(1, 2.0, 1.0, 3.0), Point(3, 6.0, 4.0, 8.0)]
    line = draw_seeds(axes, 1, points, "ew")
    assert line.get_xydata().tolist() == [[1.0, 2.0], [3.0, 6.0]]
    (band,) = axes.collections
    (path,) = band.get_paths()
    assert path.vertices[:, 1].min() == 1.0 and path.vertices[:, 1].max() == 8.0


def test_bars_are_as_long_as_their_means():
    axes = new_figure((3, 2)).subplots()
    draw_bars(axes, ["ew", "mgda"], [[1.0, 3.0], [8.0]], ["2", "8"], [3, 0])
    assert [bar.get_width() for bar in axes.patches] == [2.0, 8.0]
    (dots,) = axes.get_lines()
    assert list(dots.get_xdata()) == [1.0, 3.0]
    # Without anything to show, too, they begin at 0.
    axes = new_figure((3, 2)).subplots()
    draw_bars(axes, ["ew"], [[0.0]], ["0"])
    assert axes.get_xlim() == (0.0, 1.0)


def drawn(name):
    points = [Point(epoch, epoch / 2, 0.0, 2.0) for epoch in range(1, 31)]
    with svg_style():
        figure = new_figure((3, 2))
        axes = figure.subplots()
        draw_seeds(axes, 0, points, name).set_gid(f"{TIPS}a")
        axes.set_title(name)
        tips = [f"{name} {point.epoch}" for point in points]
        return embedded_svg(figure, name, {"a": tips})


def test_each_marker_has_its_text():
    found = drawn("ew")
    assert re.findall('data-tip="([^"]*)"', found) == [
        f"ew {epoch}" for epoch in range(1, 31)
    ]
    assert found == drawn("ew")
    assert "http" not in found and "<metadata" not in found


def test_names_are_text():
    found = drawn('<b> $x$ & "y" $')
    assert "<b>" not in found
    assert "&lt;b&gt; $x$ &amp;" in found
