"""Bars beside each other, with their names."""

from typing import NamedTuple

from keras_mtl.comparison.svg_frame import drawing
from keras_mtl.comparison.svg_frame import element
from keras_mtl.comparison.svg_frame import shortened

WIDTH, BAR = 400.0, 24.0


class Bar(NamedTuple):
    """A bar with its name and colour."""

    name: str
    colour: str
    value: float


def draw_bars(title: str, unit: str, bars: list[Bar]) -> str:
    """Returns a drawing of bars from the left, one below the other.

    Args:
        title: What is drawn.
        unit: Unit of the values, all of them positive.
        bars: The bars.
    """
    if not bars:
        return ""
    longest = max(bar.value for bar in bars) or 1.0
    names = [shortened(bar.name, 16) for bar in bars]
    left = 12.0 + 7.2 * max(len(name) for name in names)
    room = WIDTH - left - 80.0
    parts = []
    for index, (bar, name) in enumerate(zip(bars, names, strict=True)):
        top = index * BAR
        length = max(room * bar.value / longest, 1.0)
        text = f"{bar.value:.3g} {unit}"
        parts += [
            element("text", name, x=left - 6, y=top + 16, text_anchor="end"),
            element(
                "rect",
                x=left,
                y=top + 4,
                width=length,
                height=BAR - 8,
                fill=bar.colour,
                data_tip=f"{bar.name}: {text}",
                tabindex="0",
            ),
            element("text", text, x=left + length + 6, y=top + 16),
        ]
    return drawing(WIDTH, len(bars) * BAR, title, *parts)
