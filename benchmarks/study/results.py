"""The records of an experiment on a data set, read for the page."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.study.experiment import Experiment
from benchmarks.study.experiments import EXPERIMENTS
from benchmarks.study.measures import chosen_rho
from keras_mtl.atomic_files import write_atomically
from keras_mtl.comparison.results_folder import check_same
from keras_mtl.comparison.results_folder import read_json

#: A number by seed.
BySeed = dict[int, float]


@dataclasses.dataclass(frozen=True)
class Results:
    """Runs of an experiment on a data set, perhaps not all.

    Args:
        experiment: The experiment.
        dataset: The data set.
        settings: What all runs have in common.
        runs: The records.
    """

    experiment: Experiment
    dataset: str
    settings: dict[str, Any]
    runs: list[dict[str, Any]]

    def rho(self, method: str) -> float | None:
        """Returns the chosen radius, `None` if not all were tried."""
        rhos = self.settings["rhos"]
        tried = self.tried(method)
        if {record["rho"] for record in tried} != set(rhos):
            return None
        return chosen_rho(tried)

    def tried(self, method: str) -> list[dict[str, Any]]:
        """Returns the first seed's runs with every radius, sorted by it."""
        records = [
            record
            for record in self.runs
            if record["method"] == method and record["seed"] == 0
        ]
        return sorted(records, key=lambda record: record["rho"])

    def by_seed(self, method: str) -> dict[int, dict[str, Any]]:
        """Returns the record of each seed, with the chosen radius if any."""
        rho = None
        if self.experiment.method(method).flat:
            rho = self.rho(method)
            if rho is None:
                return {}
        return {
            record["seed"]: record
            for record in self.runs
            if record["method"] == method and record["rho"] == rho
        }

    def values(
        self, method: str, read: Callable[[dict[str, Any]], float]
    ) -> BySeed:
        """Returns a number of each seed's record."""
        return {
            seed: read(record) for seed, record in self.by_seed(method).items()
        }

    def expected(self) -> int:
        """Returns how many runs there are when all are done."""
        extra = len(self.settings["rhos"]) - 1
        per_seed = len(self.experiment.methods)
        flat = sum(method.flat for method in self.experiment.methods)
        return per_seed * self.settings["seeds"] + flat * extra


def read_results(folder: Path) -> dict[tuple[str, str], Results]:
    """Returns results by experiment and data set, for what has been run."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text())
        settings = content["settings"]
        name, dataset = settings["experiment"], settings["dataset"]
        found[name, dataset] = Results(
            EXPERIMENTS[name], dataset, settings, content["runs"]
        )
    return found


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
    for path_of_settings in sorted(runs.glob("*/*/settings.json")):
        folder = path_of_settings.parent
        settings = read_json(path_of_settings)
        path = results / f"{folder.parent.name}_{folder.name}.json"
        known = {}
        if path.exists():
            content = read_json(path)
            check_same(path, content["settings"], settings, "--results")
            known = {_key(record): record for record in content["runs"]}
        for file in set(folder.glob("*.json")) - {path_of_settings}:
            record = read_json(file)
            known[_key(record)] = record
        # A line per run, so that changes can be looked at.
        lines = ",\n".join(json.dumps(known[key]) for key in sorted(known))
        head = json.dumps(settings)
        write_atomically(
            path, f'{{"settings": {head},\n"runs": [\n{lines}\n]}}\n'
        )


def _key(record: dict[str, Any]) -> tuple[str, float, int]:
    """Returns what tells a run from others."""
    return record["method"], record["rho"] or 0.0, record["seed"]
