"""Keeps the record of each run in a file of its own."""

import json
import os
from pathlib import Path
from typing import Any

SETTINGS = "settings.json"


class Store:
    """The runs of an experiment on a data set.

    Args:
        folder: Where the files are.
        settings: What all runs have in common. Runs with other settings do
            not go into the same folder.

    Raises:
        ValueError: If the folder has runs with other settings.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / SETTINGS
        if not path.exists():
            write(path, settings)
        found = json.loads(path.read_text())
        # As JSON has them: lists, not tuples.
        wanted = json.loads(json.dumps(settings))
        check_same(folder, found, wanted, "another folder with `--runs`")

    def path(self, method: str, rho: float | None, seed: int) -> Path:
        """Returns the file of a run."""
        radius = "" if rho is None else f"_rho{rho:g}"
        return self.folder / f"{method}{radius}_seed{seed}.json"

    def load(
        self, method: str, rho: float | None, seed: int
    ) -> dict[str, Any] | None:
        """Returns the record of a run, `None` if there is none."""
        path = self.path(method, rho, seed)
        return json.loads(path.read_text()) if path.exists() else None

    def save(self, record: dict[str, Any]) -> None:
        """Writes the record of a run."""
        path = self.path(record["method"], record["rho"], record["seed"])
        write(path, record)


def write(path: Path, content: Any) -> None:
    """Writes a file at once: it is there whole or not at all."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(content) + "\n")
    os.replace(unfinished, path)


def check_same(
    path: Path, found: dict[str, Any], wanted: dict[str, Any], other: str
) -> None:
    """Raises `ValueError` if settings differ.

    Args:
        path: What has the settings that were found.
        found: These settings.
        wanted: Those that are asked for.
        other: What to choose instead.
    """
    for name in sorted({*found, *wanted}):
        before, now = found.get(name), wanted.get(name)
        if before != now:
            raise ValueError(
                f"{path} has runs with {name}={before!r}, and now "
                f"{name}={now!r} is asked for. Choose {other}, or remove this "
                "one."
            )


def gather(runs: Path, results: Path) -> None:
    """Writes the runs of each experiment and data set into one file.

    What the file has already stays, unless it was run again.

    Args:
        runs: Folder of the records, in folders by experiment and data set.
        results: Folder of the files.

    Raises:
        ValueError: If a file has runs with other settings.
    """
    results.mkdir(parents=True, exist_ok=True)
    for path_of_settings in sorted(runs.glob(f"*/*/{SETTINGS}")):
        folder = path_of_settings.parent
        settings = json.loads(path_of_settings.read_text())
        path = results / f"{folder.parent.name}_{folder.name}.json"
        known = {}
        if path.exists():
            content = json.loads(path.read_text())
            check_same(
                path,
                content["settings"],
                settings,
                "another folder with `--results`",
            )
            known = {_key(record): record for record in content["runs"]}
        for file in folder.glob("*.json"):
            if file.name != SETTINGS:
                record = json.loads(file.read_text())
                known[_key(record)] = record
        # A line per run, so that changes can be looked at.
        lines = ",\n".join(json.dumps(known[key]) for key in sorted(known))
        head = json.dumps(settings)
        path.write_text(f'{{"settings": {head},\n"runs": [\n{lines}\n]}}\n')


def _key(record: dict[str, Any]) -> tuple[str, float, int]:
    """Returns what tells a run from others."""
    return record["method"], record["rho"] or 0.0, record["seed"]
