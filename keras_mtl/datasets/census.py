"""People of a census, with tasks that share much of what they need."""

from pathlib import Path
from typing import Any

import numpy as np

from keras_mtl.datasets.census_files import AMOUNTS
from keras_mtl.datasets.census_files import CATEGORIES
from keras_mtl.datasets.census_files import Rows
from keras_mtl.datasets.census_files import read_rows
from keras_mtl.datasets.manual_files import manual_folder
from keras_mtl.datasets.recipe import ArraySpec
from keras_mtl.datasets.recipe import Recipe

TASKS = ("income", "never_married", "education")

#: Schooling that is at least some college.
COLLEGE = {
    "Some college but no degree",
    "Associates degree-occup /vocational",
    "Associates degree-academic program",
    "Bachelors degree(BA AB BS)",
    "Masters degree(MA MS MEng MEd MSW MBA)",
    "Prof school degree (MD DDS DVM LLB JD)",
    "Doctorate degree(PhD EdD)",
}


class CensusIncome(Recipe):
    """Census-income from its original files.

    Args:
        standardize: Whether amounts have mean 0 and deviation 1.
    """

    name = "census_income"

    def __init__(self, standardize: bool = True):
        super().__init__(standardize=bool(standardize))

    def specs(self):
        x = {
            "amounts": ArraySpec((len(AMOUNTS),), "float32"),
            "categories": ArraySpec((len(CATEGORIES),), "int32"),
        }
        return x, dict.fromkeys(TASKS, ArraySpec((1,), "float32"))

    def open(self, split, data_dir=None):
        path = Path("" if data_dir is None else data_dir)
        if not path.is_file():
            path = manual_folder(self.name, data_dir)
        train = read_rows(path, "train")
        rows = train if split == "train" else read_rows(path, split)
        amounts = rows.amounts
        if self.options["standardize"]:
            mean, deviation = train.amounts.mean(0), train.amounts.std(0)
            amounts = (amounts - mean) / np.where(deviation > 0, deviation, 1)
        x = {
            "amounts": amounts.astype("float32"),
            "categories": _codes(train, rows),
        }
        return People(x, _labels(rows))


class People:
    """All people of a split.

    Args:
        x: Inputs by name.
        y: Labels by task.
    """

    def __init__(self, x: dict[str, np.ndarray], y: dict[str, np.ndarray]):
        self.x = x
        self.y = y

    def __len__(self) -> int:
        return len(self.x["amounts"])

    def take(self, rows: np.ndarray) -> tuple[Any, Any]:
        x = {name: array[rows] for name, array in self.x.items()}
        return x, {task: array[rows] for task, array in self.y.items()}


def _codes(train: Rows, rows: Rows) -> np.ndarray:
    """Numbers the values over all columns, from 1 on; 0 is for other ones."""
    columns, first = [], 1
    for name in CATEGORIES:
        values = sorted(set(train.categories[name]))
        codes = {value: first + place for place, value in enumerate(values)}
        first += len(values)
        columns.append([codes.get(it, 0) for it in rows.categories[name]])
    return np.array(columns, dtype="int32").T.copy()


def _labels(rows: Rows) -> dict[str, np.ndarray]:
    labels = {
        "income": rows.incomes,
        "never_married": [it == "Never married" for it in rows.marital],
        "education": [it in COLLEGE for it in rows.education],
    }
    return {
        task: np.asarray(values, dtype="float32")[:, None]
        for task, values in labels.items()
    }
