"""The page in a browser: it opens, sorts, shows hover text, fits a phone."""

import html
import json
import os
import re
import shutil
import subprocess

import pytest

from keras_mtl.comparison.html_report import html_report
from tests.comparison.made_up import document
from tests.comparison.tiny_problem import HOSTILE

BROWSER = next(
    (
        path
        for name in ("chromium", "chromium-browser", "google-chrome", "chrome")
        if (path := shutil.which(name))
    ),
    None,
)

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="there is no Chromium on the path"
)

# The page in a frame as wide as a phone, and what a person would do there.
HARNESS = """<!doctype html><meta charset="utf-8">
<iframe id="page" style="width: 360px; height: 640px" srcdoc="{page}"></iframe>
<pre id="found"></pre>
<script>
const frame = document.getElementById("page");
frame.addEventListener("load", () => {{
  const view = frame.contentWindow;
  const seen = view.document;
  const found = {{}};
  const answer = seen.querySelector("table.answer");
  found.answerFits =
    answer.offsetWidth <= answer.parentElement.clientWidth;
  found.answerIsSeen = answer.getBoundingClientRect().bottom <= 640;
  const table = seen.querySelector("table.sortable:not(.answer)");
  const column = (index) =>
    [...table.tBodies[0].rows].map((row) => row.cells[index].textContent);
  const heads = [...table.tHead.rows[0].cells];
  found.heads = heads.map((head) => head.textContent);
  found.before = column(3);
  heads[3].querySelector("button").click();
  found.ascending = column(3);
  found.state = heads[3].getAttribute("aria-sort");
  heads[3].querySelector("button").click();
  found.descending = column(3);
  heads[1].querySelector("button").click();
  found.names = column(1);
  const tip = seen.getElementById("tip");
  found.hiddenAtFirst = tip.hidden;
  const over = (target) => target.dispatchEvent(
    new view.PointerEvent("pointerover", {{ bubbles: true }}));
  const point = seen.querySelector("use[data-tip]");
  point.scrollIntoView();
  over(point);
  found.tip = tip.textContent;
  found.tipIsSeen = !tip.hidden && tip.offsetHeight > 0;
  over(seen.body);
  found.hiddenAgain = tip.hidden;
  found.width = seen.documentElement.scrollWidth;
  found.tableScrolls =
    table.offsetWidth > table.parentElement.clientWidth;
  found.tags = [...seen.querySelectorAll("b, img")].length;
  document.getElementById("found").textContent = JSON.stringify(found);
}});
</script>
"""


def opened(path, *options):
    """Runs the browser on a file; returns what it has written."""
    command = [
        BROWSER,
        "--headless",
        "--disable-gpu",
        "--no-first-run",
        "--enable-logging=stderr",
        "--virtual-time-budget=5000",
        f"--user-data-dir={path.parent / 'profile'}",
        *options,
    ]
    if os.geteuid() == 0:
        # Chromium's sandbox is not for the superuser.
        command.append("--no-sandbox")
    return subprocess.run(
        [*command, path.as_uri()],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )


def test_open_sort_hover_on_a_phone(tmp_path):
    path = tmp_path / "harness.html"
    page = html_report(document(strategies=("mgda", "ew", HOSTILE)))
    path.write_text(HARNESS.format(page=html.escape(page)))
    result = opened(path, "--dump-dom")
    # Errors, warnings and messages of the page.
    assert "CONSOLE" not in result.stderr
    text = re.search(r'<pre id="found">(.*?)</pre>', result.stdout, re.DOTALL)
    found = json.loads(html.unescape(text.group(1)))

    assert found["heads"][3] == "test loss"
    numbers = [float(it.split()[0]) for it in found["before"]]
    assert numbers != sorted(numbers)
    for order, backwards in (("ascending", False), ("descending", True)):
        sorted_numbers = [float(it.split()[0]) for it in found[order]]
        assert sorted_numbers == sorted(numbers, reverse=backwards)
    assert found["state"] == "ascending"
    assert set(found["names"][:2]) == {HOSTILE}
    assert found["names"][2:] == ["ew", "ew", "mgda", "mgda"]

    assert found["hiddenAtFirst"] and found["hiddenAgain"]
    assert found["tipIsSeen"]
    assert found["tip"] == "mgda, epoch 1: test loss 1.35 (1.3 to 1.4)"
    # The page does not scroll sideways; the table does.
    assert found["answerFits"] and found["answerIsSeen"]
    assert found["width"] <= 360 and found["tableScrolls"]
    assert found["tags"] == 0


def test_a_picture_of_the_page(tmp_path):
    path, picture = tmp_path / "report.html", tmp_path / "picture.png"
    path.write_text(html_report(document()))
    result = opened(path, f"--screenshot={picture}", "--window-size=1200,2000")
    assert "CONSOLE" not in result.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    # Not blank: a white page of this size has less than 15 kB.
    assert picture.stat().st_size > 50_000
