"""The comparison as tables and as CSV."""

import csv
import io
from typing import Any
from typing import NamedTuple

from keras_mtl.comparison.jobs import Job
from keras_mtl.comparison.summary import measure_names


class Cell(NamedTuple):
    """What a table shows in one place.

    Attributes:
        text: What is shown.
        value: What is sorted by: a number, the text, or `None` if there is
            nothing.
    """

    text: str
    value: float | str | None


class Table(NamedTuple):
    """A table of cells; `best` is the index of a row that is marked."""

    columns: list[str]
    rows: list[list[Cell]]
    best: int | None = None


class Section(NamedTuple):
    """A part of the report: a heading, what the table shows, the table."""

    title: str
    text: str
    table: Table


def summary_table(document: dict[str, Any]) -> Table:
    """A row for each backend and strategy, with all results but the times."""
    names = [
        name
        for name in measure_names(document["summary"])
        if not name.startswith("seconds_")
    ]
    rows = [
        [
            text_cell(row["backend"]),
            text_cell(row["strategy"]),
            _runs(row),
            *(_spread(row["measures"].get(name)) for name in names),
        ]
        for row in document["summary"]
    ]
    columns = [name.replace("_", " ") for name in names]
    return Table(["backend", "strategy", "runs", *columns], rows)


def cost_table(document: dict[str, Any]) -> Table:
    """A row for each backend and strategy, with the times."""
    of_runs = {
        (run["backend"], run["strategy"]): run for run in document["runs"]
    }
    rows = []
    for row in document["summary"]:
        measures = row["measures"]
        run = of_runs[row["backend"], row["strategy"]]
        parameters = run.get("trained_parameters", run["parameters"])
        rows.append(
            [
                text_cell(row["backend"]),
                text_cell(row["strategy"]),
                _spread(measures.get("seconds_per_epoch")),
                _spread(_milliseconds(measures.get("seconds_per_step"))),
                count_cell(run.get("trainings", 1)),
                count_cell(parameters),
            ]
        )
    return Table(
        [
            "backend",
            "strategy",
            "s per epoch",
            "ms per step",
            "trainings",
            "parameters",
        ],
        rows,
    )


def agreement_table(document: dict[str, Any]) -> Table:
    """A row for each strategy and pair of backends."""
    rows = [
        [
            text_cell(found["strategy"]),
            text_cell(" and ".join(found["backends"])),
            number_cell(found["difference"]),
            number_cell(found["movement"]),
        ]
        for found in document["agreement"]
    ]
    return Table(
        ["strategy", "backends", "largest difference", "largest movement"],
        rows,
    )


def _milliseconds(
    spread: dict[str, float | None] | None,
) -> dict[str, float | None]:
    return {
        name: None if value is None else 1000.0 * value
        for name, value in (spread or {"mean": None}).items()
    }


def title_of_missing(entry: dict[str, Any]) -> str:
    """Returns what an entry of `missing` is called."""
    return Job(
        entry["backend"],
        entry["strategy"],
        entry["seed"],
        entry.get("trial"),
    ).title


def text_cell(text: str) -> Cell:
    """A cell with text."""
    return Cell(text, text)


def number_cell(value: float | None) -> Cell:
    """A cell with a number of three digits."""
    return Cell("–" if value is None else f"{value:.3g}", value)


def summary_csv(document: dict[str, Any]) -> str:
    """Returns summary.csv: a line for each measure, with full numbers."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    # Of several models.
    has_models = any("architecture" in row for row in document["summary"])
    beside = ["architecture"] if has_models else []
    writer.writerow(
        [
            *beside,
            "backend",
            "strategy",
            "runs",
            "diverged",
            "measure",
            "mean",
            "standard_deviation",
        ]
    )
    for row in document["summary"]:
        for name, spread in row["measures"].items():
            writer.writerow(
                [
                    *(row[name] for name in beside),
                    row["backend"],
                    row["strategy"],
                    row["runs"],
                    row["diverged"],
                    name,
                    spread["mean"],
                    spread["standard_deviation"],
                ]
            )
    return stream.getvalue()


def count_cell(number: int | None) -> Cell:
    """A cell with a whole number."""
    return Cell("–" if number is None else f"{number:,}", number)


def _runs(row: dict[str, Any]) -> Cell:
    text = str(row["runs"])
    if row["diverged"]:
        text += f" ({row['diverged']} diverged)"
    return Cell(text, row["runs"])


def _spread(spread: dict[str, float | None] | None) -> Cell:
    mean = None if spread is None else spread["mean"]
    if spread is None or mean is None:
        return number_cell(None)
    deviation = spread["standard_deviation"]
    text = f"{mean:.4g}"
    if deviation is not None:
        text += f" ± {deviation:.2g}"
    return Cell(text, mean)
