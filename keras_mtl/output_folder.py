"""Folders that a command writes to, in which others may have files, too.

Nothing in them is followed, emptied or replaced that the command has not made:
a link may lead anywhere, and a pipe may never end.
"""

import contextlib
import os
import stat
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path


def check_output_folder(folder: Path) -> None:
    """Raises `ValueError` if a folder cannot be made or written to.

    Args:
        folder: The folder, be it there or not. It may be a link.
    """
    nearest = folder
    while not os.path.lexists(nearest) and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise ValueError(
            f"Argument `output` must be a folder. {nearest} is none."
        )
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ValueError(
            "Argument `output` must be a folder that can be written to. "
            f"{nearest} cannot."
        )


def check_own_file(path: Path) -> None:
    """Raises `ValueError` if there is something else in the place of a file.

    Args:
        path: A file that the command writes, be it there or not.
    """
    _check(path, stat.S_ISREG, "file")


def check_own_subfolder(path: Path) -> None:
    """Raises `ValueError` if there is something else in a folder's place.

    Args:
        path: A folder that the command makes, be it there or not.
    """
    _check(path, stat.S_ISDIR, "folder")


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Has errors of the system, a full disk for instance, name the file."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _check(path: Path, is_right: Callable[[int], bool], wanted: str) -> None:
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if not is_right(mode):
        found = "a link" if stat.S_ISLNK(mode) else f"no {wanted}"
        raise ValueError(
            f"{path} is {found}, which is neither followed nor replaced. "
            "Remove it, or name another folder with --output."
        )
