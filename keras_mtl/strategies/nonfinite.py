"""What a step does with a loss or gradient that is not finite."""

from keras_mtl.arguments import checked_choice

ON_NONFINITE = ("raise", "skip", "ignore")


def check_on_nonfinite(value: str | None, optional: bool = False) -> None:
    """Raises `ValueError` for anything but a known policy."""
    allowed = (None, *ON_NONFINITE) if optional else ON_NONFINITE
    checked_choice("on_nonfinite", value, allowed)
