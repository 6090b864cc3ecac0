"""Files that are there as a whole or not at all."""

import contextlib
import glob
import json
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TEMPORARY = ".tmp"


@contextlib.contextmanager
def replaced_at_once(path: Path) -> Iterator[Path]:
    """Has a file written elsewhere, and puts it into its place as a whole.

    Whatever stops the process, be it the power, the file is as it was before
    or as it shall be. What a killed process leaves is a folder beside it
    whose name begins with a point and ends in `.tmp`; the next one to write
    the file removes it.

    Args:
        path: The file, in a folder that exists.

    Yields:
        What to write within the context, a file of the same name.
    """
    # A link stays one. In the same folder, because only within a file system
    # renaming is atomic; not in plain sight, where it may be taken for whole.
    path = Path(os.path.realpath(path))
    beginning = f".{path.name}.{platform.node()}."
    _remove_leftovers(path.parent, beginning)
    folder = path.parent / f"{beginning}{os.getpid()}{TEMPORARY}"
    folder.mkdir()
    try:
        yield folder / path.name
        with open(folder / path.name, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(folder / path.name, path)
    finally:
        shutil.rmtree(folder)
    _sync_folder(path.parent)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Writes a file, so that nobody ever finds a part of it.

    Args:
        path: The file, in a folder that exists.
        content: What to write; text as UTF-8.
    """
    data = content.encode() if isinstance(content, str) else content
    with replaced_at_once(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: Any) -> None:
    """Writes a value as JSON, atomically; NaN is no JSON and an error."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)
    write_atomically(path, text + "\n")


def remove_temporary_files(folder: Path) -> None:
    """Removes what interrupted writes of any file in a folder have left."""
    for path in folder.glob(f"*{TEMPORARY}"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _remove_leftovers(folder: Path, beginning: str) -> None:
    """Removes what killed processes of this machine have left of a file."""
    for path in folder.glob(f"{glob.escape(beginning)}*{TEMPORARY}"):
        process = path.name.removeprefix(beginning).removesuffix(TEMPORARY)
        if process == str(os.getpid()) or not _is_running(process):
            shutil.rmtree(path, ignore_errors=True)


def _is_running(process: str) -> bool:
    # Elsewhere, signal 0 is no question but an end.
    if os.name == "posix" and process.isdecimal():
        with contextlib.suppress(PermissionError, OverflowError):
            try:
                os.kill(int(process), 0)
            except ProcessLookupError:
                return False
    return True


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        # Elsewhere folders cannot be opened; renaming is synchronous.
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
