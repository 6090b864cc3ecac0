"""report.html: everything on one page, which loads nothing."""

import html
import importlib.util
import json
from pathlib import Path
from typing import Any

from keras_mtl.comparison import drawings
from keras_mtl.comparison.answer import answers
from keras_mtl.comparison.answer import runs_so_far
from keras_mtl.comparison.answer import statement
from keras_mtl.comparison.answer_tables import LEGEND
from keras_mtl.comparison.answer_tables import answer_table
from keras_mtl.comparison.sections import sections
from keras_mtl.comparison.tables import Table
from keras_mtl.comparison.tables import title_of_missing

PAGE = Path(__file__).parent / "page"

#: What stands in the place of the drawings.
WITHOUT_DRAWINGS = (
    "Curves, maps of conflicts and bars of cost are left out: they need "
    'Matplotlib, pip install "keras-mtl[demo]".'
)

#: Curves that are shown at once; the others are unfolded.
CURVES_SHOWN = 3


def can_draw() -> bool:
    """Whether what drawings need is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def html_report(
    document: dict[str, Any], saved: dict[str, Any] | None = None
) -> str:
    """Returns the page.

    It loads nothing from anywhere, and whatever comes from the user, names of
    tasks and strategies above all, is text on it and nothing else.

    Args:
        document: What `ComparisonFolder.collect` returns.
        saved: What can be saved from the page. Defaults to `None`: the same.
    """
    style = (PAGE / "report.css").read_text(encoding="utf-8")
    script = (PAGE / "report.js").read_text(encoding="utf-8")
    embedded = _embedded(saved or document)
    body = "\n".join(
        [
            "<h1>Comparison of strategies</h1>",
            *(f"<p>{it}</p>" for it in [runs_so_far(document)] if it),
            *_answers(document),
            _head(document),
            *_sections(document),
            _missing(document),
            _settings(document),
        ]
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Comparison of strategies</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
{body}
<div id="tip" role="status" hidden></div>
<script type="application/json" id="results">{embedded}</script>
<script>
{script}</script>
</body>
</html>
"""


def _embedded(document: dict[str, Any]) -> str:
    """JSON that cannot end the element in which it stands."""
    text = json.dumps(document, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


def _head(document: dict[str, Any]) -> str:
    settings = document["settings"]
    model = settings["model"] or "the model of the data set"
    if isinstance(model, list):
        model = ", ".join(model)
    return (
        f"<p>{_safe(settings['dataset'])}, {_safe(model)}: "
        f"{settings['epochs']} epochs, seeds: {settings['seeds']}, backends: "
        f"{_safe(', '.join(settings['backends']))}. Click on the heading of "
        "a column to sort by it.</p>"
    )


def _answers(document: dict[str, Any]) -> list[str]:
    parts = []
    found = answers(document)
    for answer in found:
        heading = f"<h3>{_safe(answer.backend)}</h3>" if len(found) > 1 else ""
        parts.append(
            f"{heading}<p>{_safe(statement(answer))}</p>"
            f"{_table(answer_table(answer), 'sortable answer')}"
        )
    parts.append(f"<p>{_safe(LEGEND)}</p>")
    if can_draw():
        drawn = [
            _figure(title, drawing)
            for answer in found
            for title, drawing in drawings.differences_of(
                document, answer
            ).items()
        ]
        parts.append(_grid(drawn))
    return parts


def _sections(document: dict[str, Any]) -> list[str]:
    """The parts with a table, and the drawings where they belong."""
    parts = {
        title: f"<h2>{_safe(title)}</h2><p>{_safe(text)}</p>{_table(table)}"
        for title, text, table in sections(document).values()
    }
    if can_draw():
        parts["Results"] += _curves(document) + _conflicts(document)
        parts["Cost"] += _costs(document)
        if "Learning rates" in parts:
            parts["Learning rates"] += _legend(document) + _grid(
                [
                    _figure(title, drawing)
                    for backend in document["versions"]
                    for title, drawing in drawings.tuning_of(
                        document, backend
                    ).items()
                ]
            )
        for frontier in document.get("frontier", []):
            title, drawing = drawings.frontier_of(frontier)
            if drawing is not None:
                parts[title] += _grid([_figure(title, drawing)])
    else:
        parts["Results"] += f"<h2>Drawings</h2><p>{_safe(WITHOUT_DRAWINGS)}</p>"
    return list(parts.values())


def _curves(document: dict[str, Any]) -> str:
    parts = [
        "<h2>Curves</h2><p>Lines are means over the seeds, bands reach from "
        "the lowest to the highest seed.</p>",
        _legend(document),
    ]
    for backend in document["versions"]:
        drawn = [
            _figure(title, drawing)
            for title, drawing in drawings.curves_of(document, backend).items()
        ]
        shown, hidden = drawn[:CURVES_SHOWN], drawn[CURVES_SHOWN:]
        parts.append(f"<h3>{_safe(backend)}</h3>{_grid(shown)}")
        if hidden:
            parts.append(
                f"<details><summary>{len(hidden)} more</summary>"
                f"{_grid(hidden)}</details>"
            )
    return "".join(parts)


def _legend(document: dict[str, Any]) -> str:
    items = []
    for strategy in document["settings"]["strategies"]:
        colour = drawings.colour_of(document, strategy)
        items.append(
            '<li><svg viewBox="0 0 10 10" aria-hidden="true">'
            f'<circle cx="5" cy="5" r="5" fill="{colour}"></circle></svg>'
            f"{_safe(strategy)}</li>"
        )
    return f'<ul class="legend">{"".join(items)}</ul>'


def _conflicts(document: dict[str, Any]) -> str:
    drawn = [
        _figure(title, drawing)
        for backend in document["versions"]
        for title, drawing in drawings.conflicts_of(document, backend).items()
    ]
    if not drawn:
        return ""
    return (
        "<h2>Conflicts</h2><p>Cosines between the tasks’ gradients by the "
        "shared variables, means over steps, epochs and seeds: blue where they "
        "agree, red where they oppose each other. Only of strategies that take "
        "task gradients.</p>" + _grid(drawn, "drawings maps")
    )


def _costs(document: dict[str, Any]) -> str:
    costs = drawings.costs_of(document)
    drawn = [_figure(backend, drawing) for backend, drawing in costs.items()]
    return f"<h3>Milliseconds per step</h3>{_grid(drawn)}"


def _missing(document: dict[str, Any]) -> str:
    if not document["missing"]:
        return ""
    items = "".join(
        f"<h3>{_safe(title_of_missing(run))}</h3>"
        + (f"<pre>{_safe(run['message'])}</pre>" if run["message"] else "")
        for run in document["missing"]
    )
    return (
        "<h2>Missing runs</h2><p>They failed or were not started. The same "
        f"command does them and keeps the others.</p>{items}"
    )


def _settings(document: dict[str, Any]) -> str:
    described = {
        "settings": document["settings"],
        "versions": document["versions"],
    }
    text = json.dumps(described, indent=2, ensure_ascii=False)
    return (
        f"<h2>How it was made</h2><details><summary>Settings and versions"
        f"</summary><pre>{_safe(text)}</pre></details>"
        '<button class="download" id="download">Save results.json</button>'
    )


def _table(table: Table, kind: str = "sortable") -> str:
    is_text = [
        all(isinstance(row[index].value, str) for row in table.rows)
        for index in range(len(table.columns))
    ]
    kinds = [' class="text"' if it else "" for it in is_text]
    head = "".join(
        f'<th{kind} scope="col" aria-sort="none"><button>{_safe(name)}'
        "</button></th>"
        for name, kind in zip(table.columns, kinds, strict=True)
    )
    rows = "".join(
        ('<tr class="best">' if index == table.best else "<tr>")
        + "".join(
            f'<td{kind} data-value="'
            f'{_safe("" if cell.value is None else str(cell.value))}">'
            f"{_safe(cell.text)}</td>"
            for cell, kind in zip(row, kinds, strict=True)
        )
        + "</tr>"
        for index, row in enumerate(table.rows)
    )
    return (
        f'<div class="scroll" tabindex="0"><table class="{kind}"><thead><tr>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _figure(title: str, drawing: str) -> str:
    return f"<figure><figcaption>{_safe(title)}</figcaption>{drawing}</figure>"


def _grid(drawn: list[str], kind: str = "drawings") -> str:
    return f'<div class="{kind}">{"".join(drawn)}</div>'


def _safe(text: str) -> str:
    return html.escape(text)
