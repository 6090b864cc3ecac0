"""One command at a time on a folder."""

import sys
from pathlib import Path
from typing import IO


def lock_folder(folder: Path) -> IO[bytes]:
    """Locks a folder for as long as the returned file is open.

    The operating system drops the lock with the process, however that ends.

    Raises:
        BlockingIOError: If another process has the lock.
    """
    file = open(folder / "lock", "wb")
    try:
        _lock(file)
    except OSError as error:
        file.close()
        raise BlockingIOError(
            f"Another command is working on {folder}. Wait for its end, or "
            "name another folder with --output."
        ) from error
    return file


def _lock(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
