"""report.md: the tables as Markdown."""

import html
import re
from typing import Any

from keras_mtl.comparison.tables import Table
from keras_mtl.comparison.tables import agreement_table
from keras_mtl.comparison.tables import cost_table
from keras_mtl.comparison.tables import summary_table
from keras_mtl.comparison.tables import title_of_missing
from keras_mtl.terminal import printable


def markdown_report(document: dict[str, Any]) -> str:
    """Returns the tables of a comparison, and how it was made.

    Args:
        document: What `results.collect` returns.
    """
    parts = [
        "# Comparison of strategies",
        "Results of the last epoch; mean ± standard deviation over the seeds.",
        _table(summary_table(document)),
        "## Cost",
        "Median epoch without the first one, which compiles.",
        _table(cost_table(document)),
    ]
    if document["agreement"]:
        steps = document["settings"]["agreement_steps"]
        parts += [
            "## Agreement of the backends",
            f"Weights after {steps} steps of plain gradient descent from equal "
            "weights on equal batches: the largest difference between two "
            "backends, and how far the weight that moved most has moved.",
            _table(agreement_table(document)),
        ]
    if document["missing"]:
        parts += ["## Missing runs", _missing(document["missing"])]
    parts += ["## Settings", _pairs(document["settings"]), "## Versions"]
    for backend, versions in document["versions"].items():
        parts += [f"### {backend}", _pairs(versions)]
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    lines = [table.columns, ["---"] * len(table.columns)]
    lines += [[cell.text for cell in row] for row in table.rows]
    head, rule, *rows = lines
    return "\n".join(
        [_line(map(_plain, head)), _line(rule)]
        + [_line(map(_plain, row)) for row in rows]
    )


def _line(cells) -> str:
    return f"| {' | '.join(cells)} |"


def _missing(missing: list[dict[str, Any]]) -> str:
    return "\n".join(f"- {_plain(title_of_missing(run))}" for run in missing)


def _pairs(pairs: dict[str, Any]) -> str:
    return "\n".join(
        f"- {_plain(name)}: {_plain(_text(value))}"
        for name, value in pairs.items()
    )


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return "–" if value is None else str(value)


def _plain(text: str) -> str:
    """Text in which nothing is taken for HTML or Markdown."""
    # A line of its own would be, too; and a page may be shown on a terminal.
    text = printable(re.sub(r"\s", " ", text))
    return re.sub(r"([\\`*_|\[\]])", r"\\\1", html.escape(text, quote=False))
