"""Files that are there as a whole or not at all."""

import json
import os
from pathlib import Path
from typing import Any

TEMPORARY = ".tmp"


def write_atomically(path: Path, content: bytes | str) -> None:
    """Writes a file, so that nobody ever finds a part of it.

    Whatever stops the process, be it the power, the file is as it was before
    or as it shall be. What may remain is a file whose name ends in `.tmp`.

    Args:
        path: The file, in a folder that exists.
        content: What to write; text as UTF-8.
    """
    data = content.encode() if isinstance(content, str) else content
    # In the same folder, because only there renaming is atomic.
    temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY}")
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    _sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Writes a value as JSON, atomically; NaN is no JSON and an error."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)
    write_atomically(path, text + "\n")


def remove_temporary_files(folder: Path) -> None:
    """Removes what interrupted writes have left."""
    for path in folder.glob(f"*{TEMPORARY}"):
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        # Elsewhere folders cannot be opened; renaming is synchronous.
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
