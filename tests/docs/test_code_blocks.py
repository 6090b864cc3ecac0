"""Runs the Python code of the README and the documentation."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def code_blocks(text):
    """Yields the line on which each Python block begins, and its code."""
    for match in BLOCK.finditer(text):
        yield text[: match.start(1)].count("\n") + 1, match.group(1)


def pages_with_code():
    return [
        pytest.param(page, id=str(page.relative_to(ROOT)))
        for page in PAGES
        if "```python" in page.read_text()
    ]


def test_the_readme_has_an_example():
    assert list(code_blocks((ROOT / "README.md").read_text()))


# Compiled, each block of some ten takes seconds.
@pytest.mark.slow_on("jax")
@pytest.mark.parametrize("page", pages_with_code())
def test_code_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": page.stem}
    for line, code in code_blocks(page.read_text()):
        # Blank lines first, so that an error shows the page's own line.
        padded = "\n" * (line - 1) + code
        exec(compile(padded, str(page), "exec"), names)
