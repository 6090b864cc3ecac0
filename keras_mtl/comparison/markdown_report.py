"""report.md: the tables alone."""

import html
import re
from typing import Any

from keras_mtl.comparison.answer import answers
from keras_mtl.comparison.answer import runs_so_far
from keras_mtl.comparison.answer import statement
from keras_mtl.comparison.answer_tables import LEGEND
from keras_mtl.comparison.answer_tables import answer_table
from keras_mtl.comparison.sections import sections
from keras_mtl.comparison.tables import Table
from keras_mtl.comparison.tables import title_of_missing
from keras_mtl.terminal import printable


def markdown_report(document: dict[str, Any]) -> str:
    """Returns the tables of a comparison, and how it was made.

    Args:
        document: What `ComparisonFolder.collect` returns.
    """
    parts = ["# Comparison of strategies"]
    if runs_so_far(document):
        parts.append(runs_so_far(document))
    for answer in answers(document):
        table = answer_table(answer)
        parts += [
            f"## {_plain(answer.backend)}",
            _plain(statement(answer)),
            _markdown(table),
        ]
    parts.append(LEGEND)
    for title, text, table in sections(document).values():
        parts += [f"## {_plain(title)}", _plain(text), _markdown(table)]
    if document["missing"]:
        titles = [_plain(title_of_missing(it)) for it in document["missing"]]
        parts += ["## Missing runs", "\n".join(f"- {it}" for it in titles)]
    parts += ["## Settings", _pairs(document["settings"]), "## Versions"]
    for backend, versions in document["versions"].items():
        parts += [f"### {backend}", _pairs(versions)]
    return "\n\n".join(parts) + "\n"


def _markdown(table: Table) -> str:
    head = [_plain(name) for name in table.columns]
    rows = [
        [_cell(cell.text, index == table.best) for cell in row]
        for index, row in enumerate(table.rows)
    ]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str, is_best: bool) -> str:
    return f"**{_plain(text)}**" if is_best and text else _plain(text)


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
