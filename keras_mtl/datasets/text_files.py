"""Lines of text files that people have got from elsewhere."""

from pathlib import Path


def read_lines(path: Path) -> list[str]:
    """Returns the lines of a file, or raises `ValueError` that names it."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is no text: {error}. Get it again."
        ) from error
