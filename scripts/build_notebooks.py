"""Builds Jupyter notebooks of those examples that are written as notebooks.

    python scripts/build_notebooks.py                        builds all of them
    python scripts/build_notebooks.py --execute multi_mnist  and runs this one

They are Python files in the form of the examples on keras.io: a header as
docstring, then strings, which become cells of text, with code between them.
Notebooks are written to the folder `notebooks`. Needs `jupytext`, and for
`--execute` also `nbclient` and `ipykernel`: all are in the extra `test`.
"""

import argparse
import ast
import inspect
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"

#: What the header must have, in this order.
FIELDS = (
    "Title",
    "Author",
    "Date created",
    "Last modified",
    "Description",
    "Accelerator",
)

KERNEL = {
    "display_name": "Python 3",
    "language": "python",
    "name": "python3",
}


def is_notebook(path: Path) -> bool:
    """Tells whether an example is written as a notebook."""
    return path.read_text().startswith('"""\nTitle: ')


def sources() -> list[Path]:
    """Returns the examples that are written as notebooks."""
    return [path for path in sorted(EXAMPLES.glob("*.py")) if is_notebook(path)]


def header_of(docstring: str) -> dict[str, str]:
    """Returns the fields of a header, or raises `ValueError`."""
    fields: dict[str, str] = {}
    for line in docstring.strip().splitlines():
        name, colon, value = line.partition(": ")
        if colon and name in FIELDS:
            fields[name] = value.strip()
        elif fields:
            # A line that goes on with the last field.
            fields[list(fields)[-1]] += f" {line.strip()}"
    if tuple(fields) != FIELDS or not all(fields.values()):
        raise ValueError(
            f"The header must have the lines {', '.join(FIELDS)}, in this "
            f"order. Found: {', '.join(fields)}"
        )
    return fields


def cells_of(source: str) -> list[tuple[str, str]]:
    """Returns the cells of a source: `"markdown"` or `"code"`, and the text."""
    lines = source.splitlines()
    cells: list[tuple[str, str]] = []

    def add(kind, text):
        if text.strip():
            cells.append((kind, text.strip("\n")))

    code_from = 0
    for node in ast.parse(source).body:
        text = _text_of(node)
        if text is None:
            continue
        add("code", "\n".join(lines[code_from : node.lineno - 1]))
        add("markdown", text if code_from else _title_cell(text))
        code_from = node.end_lineno or node.lineno
    add("code", "\n".join(lines[code_from:]))
    return cells


def _text_of(node: ast.stmt) -> str | None:
    """Returns the text of a statement that is nothing but a string."""
    if not isinstance(node, ast.Expr):
        return None
    value = node.value
    if not isinstance(value, ast.Constant) or not isinstance(value.value, str):
        return None
    return inspect.cleandoc(value.value)


def _title_cell(docstring):
    fields = header_of(docstring)
    rest = [
        f"**{name}:** {value}<br>"
        for name, value in fields.items()
        if name != "Title"
    ]
    return "\n".join([f"# {fields['Title']}", "", *rest])


def notebook_of(path: Path) -> Any:
    """Returns the notebook of a source."""
    import jupytext

    title, *cells = cells_of(path.read_text())
    # Figures are shown where a cell ends with one.
    cells = [title, ("code", "# %matplotlib inline"), *cells]
    notebook = jupytext.reads(
        "\n\n".join(map(_as_percent, cells)), fmt="py:percent"
    )
    notebook.metadata["kernelspec"] = KERNEL
    return notebook


def _as_percent(cell):
    """Returns a cell in the format "percent" of Jupytext."""
    kind, text = cell
    if kind == "code":
        return f"# %%\n{text}"
    lines = [f"# {line}".rstrip() for line in text.splitlines()]
    return "\n".join(["# %% [markdown]", *lines])


def execute(notebook: Any, folder: Path) -> None:
    """Runs the cells in a new kernel, in a folder."""
    from nbclient import NotebookClient

    NotebookClient(
        notebook, timeout=None, resources={"metadata": {"path": str(folder)}}
    ).execute()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    by_name = {path.stem: path for path in sources()}
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"which ones, all if none is named: {', '.join(by_name)}",
    )
    parser.add_argument("--execute", action="store_true", help="run them")
    parser.add_argument(
        "--output", type=Path, default=Path("notebooks"), help="folder"
    )
    import jupytext

    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(by_name))
    if unknown:
        parser.error(f"no notebook is called {unknown[0]!r}: see --help")
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.names or by_name:
        start = time.perf_counter()
        notebook = notebook_of(by_name[name])
        target = options.output / f"{name}.ipynb"
        try:
            if options.execute:
                execute(notebook, options.output)
        finally:
            # Also what came before an error.
            jupytext.write(notebook, target)
        print(f"{target}: {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
