"""Several models: a comparison of each, and one report on all.

Results of different models are never averaged, nor is a difference taken
between them: each comparison has a folder of its own.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_mtl.comparison.comparison_folder import REPORTS
from keras_mtl.comparison.identity import check_identity
from keras_mtl.comparison.model_folders import MODELS
from keras_mtl.comparison.records import SCHEMA
from keras_mtl.comparison.results_folder import ResultsFolder

#: What must be the same of all models: digests on the same backend only.
OF_DATA = ("num_train", "num_test", "data")

#: Parts of results.json that are lists, of which each model has its own.
LISTS = (
    "summary",
    "differences",
    "agreement",
    "tuning",
    "frontier",
    "runs",
    "missing",
)


class ArchitecturesFolder(ResultsFolder):
    """The folder of several comparisons and of the report on all.

    Args:
        path: The folder.
    """

    def subfolders(self) -> tuple[Path, ...]:
        return (self.path / MODELS,)

    def others(self) -> tuple[Path, ...]:
        return tuple(self.path / name for name in REPORTS)

    @staticmethod
    def fixed() -> dict[str, Any]:
        """Returns what tells such a folder from that of one comparison."""
        return {"schema": SCHEMA, "holds": "comparisons of several models"}


def joint_document(documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns results.json of several models.

    Args:
        documents: What `ComparisonFolder.collect` returns for each model.

    Returns:
        The same, in which each entry of a list has `architecture`, the model.

    Raises:
        OtherProblemError: If they are not of the same examples.
    """
    known: dict[str, dict[str, Any]] = {}
    joint: dict[str, Any] = {
        **documents[0],
        "settings": {
            **documents[0]["settings"],
            "model": [it["settings"]["model"] for it in documents],
        },
        "versions": {},
        **{name: [] for name in LISTS},
    }
    for document in documents:
        model = document["settings"]["model"]
        for run in document["runs"]:
            of_data = {name: run[name] for name in OF_DATA}
            same = known.setdefault(run["backend"], of_data)
            check_identity(of_data, same, model)
        joint["versions"].update(document["versions"])
        for name in LISTS:
            joint[name] += [
                {"architecture": model, **entry} for entry in document[name]
            ]
    return joint


def by_place(document: dict[str, Any]) -> dict[str, Any]:
    """Returns what reports show: models beside backends.

    Args:
        document: What `joint_document` returns.
    """

    def place(entry: dict[str, Any]) -> dict[str, Any]:
        shown = dict(entry)
        if "backend" in entry:
            shown["backend"] = _place(entry["backend"], entry["architecture"])
        else:
            # Of two backends.
            shown["strategy"] = f"{entry['strategy']}, {entry['architecture']}"
        return shown

    places = {
        _place(backend, model): versions
        for model in document["settings"]["model"]
        for backend, versions in document["versions"].items()
    }
    return {
        **document,
        "versions": places,
        **{name: [place(it) for it in document[name]] for name in LISTS},
    }


def _place(backend: str, model: str) -> str:
    return f"{backend}, {model}"
