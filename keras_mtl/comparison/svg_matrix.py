"""A matrix of cosines as a map in two colours."""

from collections.abc import Sequence

from keras_mtl.comparison.svg_frame import drawing
from keras_mtl.comparison.svg_frame import element
from keras_mtl.comparison.svg_frame import shortened
from keras_mtl.visualization.canvas import COLOURS

SIDE = 44.0
#: Up to this number of tasks, cells have their numbers.
MOST_NUMBERS = 8
AGREE, OPPOSE = COLOURS[0], COLOURS[4]


def draw_matrix(
    title: str, tasks: Sequence[str], matrix: Sequence[Sequence[float | None]]
) -> str:
    """Returns a drawing of the cosines between tasks.

    Blue for gradients that agree, red for those that oppose each other, the
    stronger the more; nothing where nothing was measured.

    Args:
        title: What is drawn.
        tasks: Names of the K tasks.
        matrix: K x K cosines, or `None`.
    """
    side = SIDE if len(tasks) <= MOST_NUMBERS else 14.0
    names = [shortened(task, 14) for task in tasks]
    # Letters are about 7 wide.
    margin = 12.0 + 7.0 * max(len(name) for name in names)
    parts = []
    for row, name in enumerate(names):
        middle = margin + (row + 0.5) * side
        parts.append(
            element("text", name, x=margin - 6, y=middle + 4, text_anchor="end")
        )
        # The same above the columns, read from below.
        place = f"translate({middle + 4:.1f} {margin - 6:.1f}) rotate(-90)"
        parts.append(element("text", name, transform=place))
        for column, other in enumerate(tasks):
            parts += _cell(
                margin + column * side,
                margin + row * side,
                side,
                f"{tasks[row]} and {other}",
                matrix[row][column],
            )
    size = margin + len(tasks) * side + 4
    return drawing(size, size, title, *parts)


def _cell(
    x: float, y: float, side: float, pair: str, cosine: float | None
) -> list[str]:
    tip = f"{pair}: " + ("not measured" if cosine is None else f"{cosine:.3f}")
    strength = 0.0 if cosine is None else min(abs(cosine), 1.0)
    parts = [
        element(
            "rect",
            x=x,
            y=y,
            width=side - 1,
            height=side - 1,
            fill=OPPOSE if cosine is not None and cosine < 0 else AGREE,
            fill_opacity=f"{0.06 + 0.74 * strength:.2f}",
            data_tip=tip,
            tabindex="0",
        )
    ]
    if side == SIDE and cosine is not None:
        parts.append(
            element(
                "text",
                f"{cosine:.2f}",
                x=x + side / 2,
                y=y + side / 2 + 4,
                text_anchor="middle",
                class_="number",
            )
        )
    return parts
