"""Figures as PNG files."""

import io


def render(figure):
    """Draws a figure, warnings being errors, and returns it."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    assert file.getvalue().startswith(b"\x89PNG")
    return figure
