"""One command at a time on a folder."""

import os
import sys
from pathlib import Path
from typing import IO

from keras_mtl.output_folder import check_own_file

#: Name of the file that is locked: one that nobody else gives.
LOCK = ".keras_mtl.lock"


def lock_folder(folder: Path) -> IO[bytes]:
    """Locks a folder for as long as the returned file is open.

    The operating system drops the lock with the process, however that ends.

    Raises:
        BlockingIOError: If another process has the lock.
        ValueError: If a link is in the place of the file that is locked.
    """
    path = folder / LOCK
    check_own_file(path)
    # Made if need be, but neither emptied nor followed.
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    file = os.fdopen(os.open(path, flags, 0o666), "rb+")
    try:
        _lock(file)
    except (BlockingIOError, PermissionError) as error:
        file.close()
        raise BlockingIOError(
            f"Another command is working on {folder}. Wait for its end, or "
            "name another folder with --output."
        ) from error
    except OSError:
        file.close()
        raise
    return file


def _lock(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
