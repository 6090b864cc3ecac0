"""The records of an experiment on a data set, read for the page."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.study.experiment import Experiment
from benchmarks.study.experiments import EXPERIMENTS
from benchmarks.study.runner import chosen_rho

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
