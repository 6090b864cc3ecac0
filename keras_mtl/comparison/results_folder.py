"""The folder in which a comparison keeps what it has."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import IO
from typing import Any

from keras_mtl.atomic_files import write_atomically
from keras_mtl.comparison.folder_lock import LOCK
from keras_mtl.comparison.folder_lock import lock_folder
from keras_mtl.comparison.identity import OF_ALL_BACKENDS
from keras_mtl.comparison.identity import OF_ONE_BACKEND
from keras_mtl.comparison.identity import check_identity
from keras_mtl.comparison.import_path import is_import_path
from keras_mtl.comparison.import_path import source_digest
from keras_mtl.comparison.jobs import Job
from keras_mtl.comparison.record_form import check_record
from keras_mtl.comparison.settings import Settings
from keras_mtl.comparison.versions import versions_of
from keras_mtl.output_folder import check_output_folder
from keras_mtl.output_folder import check_own_file
from keras_mtl.output_folder import check_own_subfolder
from keras_mtl.output_folder import naming

#: Version of the files' form; raised when older readers would misread it.
SCHEMA = 1

REPORTS = ("results.json", "summary.csv", "report.md", "report.html")

#: Beginning of the names, in the settings, of what backends have been given.
IDENTITY = "identity/"


class ResultsFolder:
    """The folder in which a comparison keeps what it has.

    Each finished job has a file of its own, written at once: what is there is
    whole, and what is not there is still to be done.

    Args:
        path: The folder. Nothing is written before `prepare`. As a context,
            it is kept from other commands.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.runs = self.path / "runs"
        self.weights = self.path / "weights"
        self.settings_file = self.path / "settings.json"
        self.start = self.weights / "start.npz"
        self._lock: IO[bytes] | None = None

    def __enter__(self) -> "ResultsFolder":
        # A new one is locked when it is made.
        if self.settings_file.exists():
            self._lock = lock_folder(self.path)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def check_place(self) -> None:
        """Raises `ValueError` if writing could touch what is another's.

        Links are refused, for they lead elsewhere, and so are reports in a
        folder that is not one of this command.
        """
        check_output_folder(self.path)
        for folder in (self.runs, self.weights):
            check_own_subfolder(folder)
            if folder.exists():
                check_output_folder(folder)
        for path in (self.settings_file, self.path / LOCK):
            check_own_file(path)
        for path in (self.start, *(self.path / name for name in REPORTS)):
            self._check_known(path)

    def _check_known(self, path: Path) -> None:
        check_own_file(path)
        if path.exists() and not self.settings_file.exists():
            raise ValueError(
                f"{path} is there, but it is not known how it was made: there "
                f"is no {self.settings_file}. Name another folder with "
                "--output."
            )

    def check(self, fixed: dict[str, Any]) -> None:
        """Raises `ValueError` if the folder has results of other settings.

        Args:
            fixed: What `fixed_settings` returns.
        """
        if not self.settings_file.exists():
            return
        known = self._known_settings()
        for name in sorted({*fixed, *known}):
            # What only one side has, a backend or a module more, differs in
            # nothing that both have run.
            if name.count("/") and not (name in fixed and name in known):
                continue
            if fixed.get(name) != known.get(name):
                raise ValueError(
                    f"{self.path} has results with {name}={known.get(name)!r}; "
                    f"now it is {fixed.get(name)!r}. Name another folder with "
                    "--output, or go back to the old setting."
                )

    def check_runs(self, jobs: Iterable[Job]) -> None:
        """Raises `ValueError` if runs that are there are not of one problem.

        Args:
            jobs: What will be compared, be it there or not.
        """
        known: dict[str, Any] = {}
        if self.settings_file.exists():
            known = self._known_settings()
        for job in jobs:
            path = self.file_of(job)
            self._check_known(path)
            if path.exists() and job.seed is not None:
                record = self.read_run(job)
                self._check_identity(known, job.backend, record, str(path))
                known[IDENTITY + job.backend] = record

    def note_identity(self, backend: str, identity: dict[str, Any]) -> None:
        """Notes what a backend is given, or raises if it has changed.

        Args:
            backend: The backend.
            identity: What `model_identity` and `data_identity` return.

        Raises:
            ValueError: If the folder has results of another model, or of
                other data.
        """
        known = self._known_settings()
        self._check_identity(known, backend, identity, "this command")
        name = IDENTITY + backend
        if known.get(name) != identity:
            self._write_settings({**known, name: identity})

    def _check_identity(self, known, backend, identity, where):
        for name, other in known.items():
            if not name.startswith(IDENTITY):
                continue
            if not isinstance(other, dict):
                raise ValueError(
                    f"{name!r} in {self.settings_file} must be an object, not "
                    f"{type(other).__name__}. Name another folder with "
                    "--output."
                )
            parts = [*OF_ALL_BACKENDS]
            if name == IDENTITY + backend:
                parts += OF_ONE_BACKEND
            check_identity({it: identity[it] for it in parts}, other, where)

    def prepare(self, fixed: dict[str, Any]) -> None:
        """Makes the folder, if need be, and notes the settings in it."""
        self.path.mkdir(parents=True, exist_ok=True)
        if self._lock is None:
            self._lock = lock_folder(self.path)
            # Another command may have been here before the lock was had.
            self.check(fixed)
        known = {}
        if self.settings_file.exists():
            known = self._known_settings()
        # First, for by it a folder is known as one of this command.
        if known != {**known, **fixed}:
            self._write_settings({**known, **fixed})
        for folder in (self.runs, self.weights):
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

    def _write_settings(self, settings: dict[str, Any]) -> None:
        self.write(self.settings_file, json_text(settings))

    def _known_settings(self) -> dict[str, Any]:
        known = _read_json(self.settings_file)
        if not isinstance(known, dict):
            raise ValueError(
                f"{self.settings_file} must hold an object, not "
                f"{type(known).__name__}. Name another folder with --output."
            )
        if "schema" not in known:
            raise ValueError(
                f"{self.settings_file} is not of a comparison. Name another "
                "folder with --output."
            )
        return known

    def file_of(self, job: Job) -> Path:
        """Returns the file of a job, be it there or not."""
        folder = self.weights if job.seed is None else self.runs
        return folder / job.file_name

    def unfinished(self, jobs: Iterable[Job]) -> list[Job]:
        """Returns the jobs that have no file yet."""
        return [job for job in jobs if not self.file_of(job).exists()]

    def read_run(self, job: Job) -> dict[str, Any]:
        """Returns the record of a finished run."""
        path = self.file_of(job)
        record = _read_json(path)
        check_record(path, record)
        found = [record.get(it) for it in ("schema", "backend", "strategy")]
        if [*found, record.get("seed")] != [SCHEMA, *job]:
            raise ValueError(
                f"{path} is not the record of this run. Remove it, and the "
                "run is done again."
            )
        return record


def json_text(value: Any) -> str:
    """Returns a value as the text of a JSON file; NaN is an error."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def fixed_settings(settings: Settings) -> dict[str, Any]:
    """Returns what must be the same for all results of a folder.

    Names with a slash hold for one backend or one module of the user.
    """
    fixed = {"schema": SCHEMA, **settings.of_a_run()}
    for backend in settings.backends:
        for name, version in versions_of(backend).items():
            fixed[f"versions/{backend}/{name}"] = version
    for argument in ("dataset", "model", "strategies"):
        given = getattr(settings, argument)
        for path in (given,) if isinstance(given, str) else given or ():
            if is_import_path(path):
                module = path.partition(":")[0]
                fixed[f"source/{module}"] = source_digest(argument, path)
    return fixed


def _read_json(path: Path) -> Any:
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
