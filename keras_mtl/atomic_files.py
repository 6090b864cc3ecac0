"""Files that are there as a whole or not at all."""

import contextlib
import glob
import json
import os
import platform
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from typing import Any

try:
    import fcntl
except ImportError:
    # Windows.
    fcntl = None  # type: ignore[assignment]

TEMPORARY = ".tmp"
#: Locked in a folder that a process writes into.
LOCK = "lock"
#: Letters of a file's name in that of its folder. With four bytes each, and
#: the longest name of a machine, they are fewer than the 255 of a name.
LONGEST = 40


@contextlib.contextmanager
def replaced_at_once(path: Path) -> Iterator[Path]:
    """Has a file written elsewhere, and puts it into its place as a whole.

    Whatever stops the process, be it the power, the file is as it was before
    or as it shall be. What a killed process leaves is a folder beside it
    whose name begins with a point and ends in `.tmp`; the next one to write
    the file removes it.

    A file that is replaced keeps its permissions and, as far as the system
    lets it, its owner and group; a new one has what is usual.

    Args:
        path: The file, in a folder that exists.

    Yields:
        What to write within the context, a file of the same name.

    Raises:
        PermissionError: If the file is there and must not be written.
    """
    # A link stays one. In the same folder, because only within a file system
    # renaming is atomic; not in plain sight, where it may be taken for whole.
    path = Path(os.path.realpath(path))
    if path.exists():
        # Renaming does not ask, but who has protected a file means it.
        os.close(os.open(path, os.O_WRONLY))
    # A name may be as long as the system allows.
    beginning = f".{path.name[:LONGEST]}.{platform.node()}."
    _remove_leftovers(path.parent, beginning)
    with _own_folder(path.parent, beginning) as folder:
        temporary = folder / path.name
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        if path.exists():
            _copy_permissions(path, temporary)
        os.replace(temporary, path)
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


@contextlib.contextmanager
def _own_folder(parent: Path, beginning: str) -> Iterator[Path]:
    """A new folder, locked for as long as this process has it."""
    while True:
        # Process numbers may be those of other containers, too. Nobody else
        # may read in it what will be private.
        folder = Path(tempfile.mkdtemp(TEMPORARY, beginning, parent))
        # Another process may take it for a leftover until it is locked.
        with contextlib.suppress(FileNotFoundError):
            lock = open(folder / LOCK, "wb")
            _lock(lock, wait=True)
            if (folder / LOCK).exists():
                break
            lock.close()
    with lock:
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


def _remove_leftovers(folder: Path, beginning: str) -> None:
    """Removes what killed processes of this machine have left of a file."""
    for path in folder.glob(f"{glob.escape(beginning)}*{TEMPORARY}"):
        try:
            # The system unlocks what a process held, however it ended.
            with open(path / LOCK, "rb+") as lock:
                if _lock(lock, wait=False):
                    shutil.rmtree(path, ignore_errors=True)
        except FileNotFoundError:
            # Not locked yet, or never; only an empty folder can go so.
            with contextlib.suppress(OSError):
                path.rmdir()


def _lock(file: IO[bytes], wait: bool) -> bool:
    """Locks an open file, and tells whether it is sure that it did."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        # Another process holds it, or the file system has no locks.
        return False
    return True


def _copy_permissions(source: Path, target: Path) -> None:
    """Gives a file the owner, group and mode of another."""
    status = os.stat(source)
    mode = stat.S_IMODE(status.st_mode)
    if os.name == "posix":
        with contextlib.suppress(PermissionError):
            os.chown(target, status.st_uid, -1)
        try:
            os.chown(target, -1, status.st_gid)
        except PermissionError:
            # Another group may not read what was for that one.
            mode &= ~stat.S_IRWXG
    os.chmod(target, mode)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        # Elsewhere folders cannot be opened; renaming is synchronous.
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
