"""What the drawings of the report have in common."""

import html
import math
from typing import Any


def element(name: str, text: str | None = None, **attributes: Any) -> str:
    """Returns an SVG element; text and attributes are escaped.

    Args:
        name: Its name.
        text: What is in it. Defaults to `None`: nothing.
        **attributes: Its attributes; `_` stands for `-`, and one at the end
            is dropped (`class_`).
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(_text(value))}"'
        for key, value in attributes.items()
    )
    if text is None:
        return f"<{name}{written}/>"
    return f"<{name}{written}>{html.escape(text)}</{name}>"


def drawing(width: float, height: float, label: str, *parts: str) -> str:
    """Returns an SVG drawing.

    Args:
        width: Its width.
        height: Its height.
        label: What it shows, for those who cannot see it.
        *parts: Its elements.
    """
    size = f"{_text(width)} {_text(height)}"
    return (
        f'<svg viewBox="0 0 {size}" width="{_text(width)}" role="img" '
        f'aria-label="{html.escape(label)}">{"".join(parts)}</svg>'
    )


def shortened(name: str, most: int) -> str:
    """Returns a name of at most so many letters."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def ticks(low: float, high: float, number: int = 4) -> list[float]:
    """Returns round numbers from `low` to `high`, about `number` of them."""
    if not high > low:
        return [low]
    rough = (high - low) / number
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(it * power for it in (1, 2, 5, 10) if it * power >= rough)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def _text(value: Any) -> str:
    # A tenth of a pixel is enough, and keeps the file small.
    return f"{value:.1f}" if isinstance(value, float) else str(value)
