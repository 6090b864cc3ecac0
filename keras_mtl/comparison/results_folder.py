"""A folder in which a command keeps what it has, to go on with it later."""

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO
from typing import Any

from keras_mtl.atomic_files import write_atomically
from keras_mtl.output_folder import check_output_folder
from keras_mtl.output_folder import check_own_file
from keras_mtl.output_folder import check_own_subfolder
from keras_mtl.output_folder import naming

#: Name of the file that is locked: one that nobody else gives.
LOCK = ".keras_mtl.lock"


class ResultsFolder:
    """A folder in which each finished job has a file of its own.

    Files are written at once: what is there is whole, and what is not there is
    still to be done.

    Args:
        path: The folder. Nothing is written before `prepare`. As a context,
            it is kept from other commands.
    """

    #: The option that names another folder.
    option = "--output"
    #: The setting by which a folder is known as one of the command.
    mark = "schema"

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.settings_file = self.path / "settings.json"
        self._lock: IO[bytes] | None = None

    def __enter__(self) -> "ResultsFolder":
        # A new one is locked when it is made.
        if self.settings_file.exists():
            self._lock = lock_folder(self.path, self.option)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def subfolders(self) -> tuple[Path, ...]:
        """Returns the folders that are made in it."""
        return ()

    def others(self) -> tuple[Path, ...]:
        """Returns the files beside those of the jobs and the settings."""
        return ()

    def file_of(self, job: Any) -> Path:
        """Returns the file of a job, be it there or not."""
        raise NotImplementedError

    def unfinished(self, jobs: Iterable[Any]) -> list[Any]:
        """Returns the jobs that have no file yet."""
        return [job for job in jobs if not self.file_of(job).exists()]

    def check_place(self) -> None:
        """Raises `ValueError` if writing could touch what is another's.

        Links are refused, for they lead elsewhere, and so are results in a
        folder that is not one of this command.
        """
        check_output_folder(self.path)
        for folder in self.subfolders():
            check_own_subfolder(folder)
            if folder.exists():
                check_output_folder(folder)
        for path in (self.settings_file, self.path / LOCK):
            check_own_file(path)
        for path in self.others():
            self.check_known(path)

    def check_known(self, path: Path) -> None:
        """Raises `ValueError` for a file that may be another's."""
        check_own_file(path)
        if path.exists() and not self.settings_file.exists():
            raise ValueError(
                f"{path} is there, but it is not known how it was made: there "
                f"is no {self.settings_file}. Name another folder with "
                f"{self.option}."
            )

    def check(self, fixed: dict[str, Any]) -> None:
        """Raises `ValueError` if the folder has results of other settings.

        Args:
            fixed: What must be the same for all results, as in `check_same`.
        """
        known = self.known_settings()
        if known:
            check_same(self.path, known, fixed, self.option)

    def identify(self, backend: str, identity: dict[str, Any]) -> None:
        """Notes what the results of a backend are of.

        Args:
            backend: The backend.
            identity: What `Work.prepare` returns.

        Raises:
            ValueError: If the folder has results of something else.
        """

    def prepare(self, fixed: dict[str, Any]) -> None:
        """Makes the folder, if need be, and notes the settings in it."""
        self.path.mkdir(parents=True, exist_ok=True)
        if self._lock is None:
            self._lock = lock_folder(self.path, self.option)
            # Another command may have been here before the lock was had.
            self.check(fixed)
        known = self.known_settings()
        # First, for by it a folder is known as one of this command.
        if known != {**known, **fixed}:
            self.write_settings({**known, **fixed})
        for folder in self.subfolders():
            folder.mkdir(exist_ok=True)

    def write(self, path: Path, content: bytes | str) -> None:
        """Writes a file of the folder, as a whole and not through a link.

        Args:
            path: The file.
            content: What to write; text as UTF-8.
        """
        if path.parent != self.path:
            check_own_subfolder(path.parent)
        check_own_file(path)
        with naming(path):
            write_atomically(path, content)

    def write_settings(self, settings: dict[str, Any]) -> None:
        """Writes the settings that results are kept with."""
        self.write(self.settings_file, json_text(settings))

    def known_settings(self) -> dict[str, Any]:
        """Returns the settings of the results, none in a new folder."""
        if not self.settings_file.exists():
            return {}
        known = read_json(self.settings_file)
        reason = None
        if not isinstance(known, dict):
            reason = f"must hold an object, not {type(known).__name__}"
        elif self.mark not in known:
            reason = f"has no {self.mark!r}: another command has written it"
        if reason is not None:
            raise ValueError(
                f"{self.settings_file} {reason}. Name another folder with "
                f"{self.option}."
            )
        return known


def check_same(
    path: Path, known: dict[str, Any], wanted: dict[str, Any], option: str
) -> None:
    """Raises `ValueError` if settings differ.

    Args:
        path: What has results of the known settings.
        known: These settings.
        wanted: Those that are asked for. Names with a slash hold for a part of
            the results: what only one side has differs in nothing that both
            have run.
        option: The option that names another folder.
    """
    for name in sorted({*wanted, *known}):
        if name.count("/") and not (name in wanted and name in known):
            continue
        before, now = known.get(name), wanted.get(name)
        if before != now:
            raise ValueError(
                f"{path} has results with {name}={before!r}; now it is "
                f"{now!r}. Name another folder with {option}, or go back to "
                "the old setting."
            )


def lock_folder(folder: Path, option: str = "--output") -> IO[bytes]:
    """Locks a folder for as long as the returned file is open.

    The operating system drops the lock with the process, however that ends.

    Args:
        folder: The folder.
        option: The option that names another one.

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
            f"name another folder with {option}."
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


def json_text(value: Any) -> str:
    """Returns a value as the text of a JSON file; NaN is an error."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def read_json(path: Path) -> Any:
    """Returns what a file of the folder holds.

    Raises:
        ValueError: If it is a link or not JSON; names it.
    """
    check_own_file(path)
    try:
        return json.loads(
            path.read_text(encoding="utf-8"), parse_constant=_refuse
        )
    except (RecursionError, ValueError) as error:
        raise ValueError(
            f"{path} is no valid JSON ({error}); this command did not write "
            "it so. Remove it, and what it was about is done again."
        ) from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
