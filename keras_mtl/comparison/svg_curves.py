"""Curves over the epochs."""

from typing import NamedTuple

from keras_mtl.comparison.svg_frame import drawing
from keras_mtl.comparison.svg_frame import element
from keras_mtl.comparison.svg_frame import ticks

WIDTH, HEIGHT = 400.0, 240.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 12.0, 10.0, 36.0


class Point(NamedTuple):
    """Mean and range over the seeds, after an epoch."""

    epoch: int
    mean: float
    low: float
    high: float


class Curve(NamedTuple):
    """A curve with its name and colour."""

    name: str
    colour: str
    points: list[Point]


def draw_curves(title: str, curves: list[Curve]) -> str:
    """Returns a drawing of curves: means as lines, ranges as bands.

    Args:
        title: What is drawn.
        curves: Curves; those without a point are left out.
    """
    curves = [curve for curve in curves if curve.points]
    every = [point for curve in curves for point in curve.points]
    if not every:
        return ""
    scale = _Scale(every)
    parts = scale.axes(title)
    for curve in curves:
        parts += _band(curve, scale)
    for curve in curves:
        parts += _line(curve, scale, title)
    return drawing(WIDTH, HEIGHT, title, *parts)


class _Scale:
    """From epochs and values to places in the drawing."""

    def __init__(self, points: list[Point]):
        self.last = max(point.epoch for point in points)
        self.low = min(point.low for point in points)
        self.high = max(point.high for point in points)
        # Some air, and a height where all values are equal.
        air = 0.05 * (self.high - self.low) or abs(self.high) or 1.0
        self.low, self.high = self.low - air, self.high + air

    def x(self, epoch: float) -> float:
        if self.last == 1:
            return (LEFT + WIDTH - RIGHT) / 2
        share = (epoch - 1) / (self.last - 1)
        return LEFT + 8 + share * (WIDTH - LEFT - RIGHT - 16)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def axes(self, title: str) -> list[str]:
        parts = []
        for value in ticks(self.low, self.high):
            y = self.y(value)
            parts.append(
                element(
                    "line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"
                )
            )
            parts.append(
                element(
                    "text",
                    f"{value:.3g}",
                    x=LEFT - 6,
                    y=y + 4,
                    text_anchor="end",
                )
            )
        whole = sorted({round(it) for it in ticks(1, self.last, 6)} | {1})
        for epoch in whole:
            parts.append(
                element(
                    "text",
                    str(epoch),
                    x=self.x(epoch),
                    y=HEIGHT - BOTTOM + 16,
                    text_anchor="middle",
                )
            )
        parts.append(
            element(
                "text",
                "epoch",
                x=(LEFT + WIDTH - RIGHT) / 2,
                y=HEIGHT - 4,
                text_anchor="middle",
            )
        )
        return parts


def _band(curve: Curve, scale: _Scale) -> list[str]:
    if all(point.low == point.high for point in curve.points):
        return []
    upper = [(scale.x(it.epoch), scale.y(it.high)) for it in curve.points]
    lower = [(scale.x(it.epoch), scale.y(it.low)) for it in curve.points]
    return [
        element(
            "polygon",
            points=_path([*upper, *reversed(lower)]),
            fill=curve.colour,
            fill_opacity="0.15",
        )
    ]


def _line(curve: Curve, scale: _Scale, title: str) -> list[str]:
    places = [(scale.x(it.epoch), scale.y(it.mean)) for it in curve.points]
    parts = [
        element(
            "polyline",
            points=_path(places),
            fill="none",
            stroke=curve.colour,
            stroke_width="2",
        )
    ]
    for point, (x, y) in zip(curve.points, places, strict=True):
        tip = f"{curve.name}, epoch {point.epoch}: {title} {point.mean:.4g}"
        if point.low < point.high:
            tip += f" ({point.low:.4g} to {point.high:.4g})"
        parts.append(
            element(
                "circle",
                cx=x,
                cy=y,
                r="3.5",
                fill=curve.colour,
                data_tip=tip,
                tabindex="0",
            )
        )
    return parts


def _path(places: list[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
