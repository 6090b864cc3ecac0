"""The page and the Markdown, read by an HTML parser."""

import html.parser
import importlib.util
import json
import re

import pytest

from keras_mtl.comparison.frontier import frontier
from keras_mtl.comparison.html_report import html_report
from keras_mtl.comparison.markdown_report import markdown_report
from keras_mtl.comparison.objective import read_objective
from tests.comparison.made_up import document
from tests.comparison.tiny_problem import HOSTILE


class Page(html.parser.HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.scripts, self.open = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag == "script":
            self.open.append([])

    def handle_endtag(self, tag):
        if tag == "script":
            self.scripts.append("".join(self.open.pop()))

    def handle_data(self, data):
        if self.open:
            self.open[-1].append(data)
        else:
            self.texts.append(data)


def test_the_page_loads_nothing():
    page = Page(html_report(document()))
    assert not {"img", "iframe", "object", "base"} & set(page.tags)
    links = [
        value
        for name, value in page.attributes
        if name in ("src", "href", "action")
    ]
    assert links == ["data:,"]
    text = html_report(document())
    # Drawings have parts that are named in the page itself.
    assert not re.findall(r"https?://|@import|url\((?!#)", text)
    names = [it for name, it in page.attributes if name == "xlink:href"]
    assert all(it.startswith(("#", "data:image/png;base64,")) for it in names)


def test_the_page_shows_the_numbers():
    page = Page(html_report(document()))
    shown = " ".join(page.texts)
    # 0.6 and 0.5 of the seeds, and the same for the other task.
    assert "0.55 ± 0.071" in shown and "0.65 ± 0.071" in shown
    assert "1.5e-08" in shown and "12,345" in shown
    assert "It <b>failed</b>." in shown
    tips = [value for name, value in page.attributes if name == "data-tip"]
    assert "−0.25" in shown or "-0.25" in shown
    assert "ew, epoch 1: test loss 1.35 (1.3 to 1.4)" in tips


def test_the_page_has_the_results_in_it():
    page = Page(html_report(document()))
    assert len(page.scripts) == 2
    assert json.loads(page.scripts[0]) == json.loads(json.dumps(document()))


def test_names_cannot_become_markup():
    hostile = document(
        strategies=("ew", HOSTILE), tasks=(HOSTILE, "]]>&\"'</script><!--")
    )
    hostile["missing"][0]["message"] = HOSTILE
    hostile["settings"].update(dataset=HOSTILE, model="a\u2028'\"&</pre>")
    hostile["versions"] = {
        backend: {HOSTILE: "</script>&"} for backend in hostile["versions"]
    }
    for row in hostile["summary"]:
        row["measures"]["test_</td>&\"'"] = row["measures"].pop("train_loss")
    harmless = Page(html_report(document()))
    page = Page(html_report(hostile))
    # The same elements, whatever the names.
    assert set(page.tags) == set(harmless.tags)
    assert page.scripts[1] == harmless.scripts[1]
    assert json.loads(page.scripts[0]) == json.loads(json.dumps(hostile))
    names = {name for name, _ in page.attributes}
    assert names == {name for name, _ in harmless.attributes}
    assert HOSTILE in " ".join(page.texts)


def test_names_of_any_letters_are_drawn():
    tasks = ("深度", "a$b_\x1b[2J$")
    page = Page(html_report(document(tasks=tasks)))
    shown = " ".join(page.texts)
    assert "深度" in shown and r"a$b_\x1b[2J$" in shown


def test_markdown_has_the_same_numbers():
    text = markdown_report(document())
    assert "| jax | ew | 2 | 1.55 ± 0.071 |" in text
    assert "| ew | jax and torch | 1.5e-08 | 0.01 |" in text
    assert "- jax, ew, seed 2" in text


def test_markdown_escapes_names():
    text = markdown_report(document(strategies=("ew", "a|b<i>_c_`")))
    assert r"| jax | a\|b&lt;i&gt;\_c\_\` | 2 |" in text
    tables = re.findall(r"^\|.*\|$", text, re.MULTILINE)
    columns = {len(re.split(r"(?<!\\)\|", line)) for line in tables[:6]}
    assert len(columns) == 1


def test_names_in_markdown_stay_in_their_line():
    text = markdown_report(document(strategies=("ew", "a\n# b\x1b[2J")))
    assert "| a # b" in text and "\n# b" not in text
    assert "\x1b" not in text


def test_the_answer_comes_first():
    page = html_report(document())
    assert page.index("By test loss (lower is better)") < page.index("<p>multi")
    answer = page[page.index('class="sortable answer"') :]
    # Sorted by the objective, the best one marked.
    rows = re.findall(r"<tr(?: class=\"(best)\")?><td.*?>(\w+)</td>", answer)
    assert rows[:2] == [("best", "ew"), ("", "mgda")]
    # Each seed is larger by the same 0.02: there is no spread.
    assert ">+0.02<" in answer and ">2 of 2<" in answer
    assert 'aria-label="test loss, minus that of ew"' in page
    text = markdown_report(document())
    assert "| **ew** | **1.55 ± 0.64** | **baseline** |  |  |" in text
    assert "| mgda | 1.57 ± 0.64 | +0.02 | – | 2 of 2 |" in text
    assert text.index("| mgda |") < text.index("## Results")


def test_what_was_tried_is_shown():
    found = document()
    trials = [
        {
            "setting": {"learning_rate": 10.0**-n, "loss_weights": [0.5, 1.5]},
            "value": value,
            "pruned": n == 1,
            "epochs": 2,
        }
        for n, value in enumerate([None, 1e9, 0.25, 0.5, 0.75], 1)
    ]
    found["tuning"] = [
        {"backend": "jax", "strategy": it, "best": 2, "trials": trials}
        for it in ("ew", "mgda")
    ]
    text = markdown_report(found)
    row = (
        "5 | 1 | 10 | learning\\_rate 0.001, loss\\_weights 0.5 : 1.5 | 0.25 |"
    )
    assert f"| jax | ew | {row}" in text
    page = html_report(found)
    assert page.count('aria-label="test loss of trials on jax"') == 1
    # The backend on which nothing was tuned has no drawing.
    assert "trials on torch" not in page
    assert "<h2>Tuning" not in html_report(document())


def trial(tasks, weights, values, value=1.0):
    logs = {f"val_{it}_loss": v for it, v in zip(tasks, values, strict=False)}
    return {
        "tasks": tasks,
        "setting": {"loss_weights": weights},
        "value": value,
        "pruned": False,
        "history": [{"val_loss": value, **logs}],
        "seconds": {"per_epoch": 1.0, "per_step": 1.0},
    }


#: The third is beaten by the first; one diverged.
POINTS = {
    ("left", "right"): [
        ([0.5, 1.5], [2.0, 1.0]),
        ([1.5, 0.5], [1.0, 2.0]),
        ([1.0, 1.0], [2.0, 1.5]),
    ],
    ("a", "b", HOSTILE): [
        ([0.5, 1.5, 1.0], [2.0, 1.0, 1.0]),
        ([1.5, 0.5, 1.0], [1.0, 2.0, 1.0]),
        ([1.0, 1.0, 1.0], [2.0, 1.5, 1.0]),
    ],
}


@pytest.mark.parametrize("tasks", POINTS)
def test_what_weights_trade_is_shown(tasks):
    trials = [trial(tasks, *point) for point in POINTS[tasks]]
    trials.append(trial(tasks, trials[0]["setting"]["loss_weights"], [], None))
    found = frontier(trials, read_objective("test_loss"), 1)
    assert found["metric"] == "loss" and not found["higher_is_better"]
    beaten = [it["is_beaten"] for it in found["points"]]
    assert beaten == [False, False, True, True]
    assert found["points"][3]["values"] is None
    shown = document(tasks=tasks[:2])
    shown["tuning"] = [
        {
            "backend": "jax",
            "strategy": "ew",
            "best": 1,
            "trials": [
                {
                    "setting": it["setting"],
                    "value": it["value"],
                    "pruned": False,
                    "epochs": 1,
                }
                for it in trials
            ],
        }
    ]
    shown["frontier"] = [{"backend": "jax", "strategy": "ew", **found}]
    page = Page(html_report(shown))
    label = "Frontier: ew on jax, loss of each task"
    assert ("aria-label", label) in page.attributes
    assert "<h2>Frontier: ew on jax" in html_report(shown)
    text = markdown_report(shown)
    # The best by the objective is marked, and what others beat is not.
    weights = " : ".join(f"{it:g}" for it in POINTS[tasks][1][0])
    assert f"| **1** | **{weights}** | **1** | **2** |" in text
    assert len(re.findall(r"on the front\*\* \||on the front \|", text)) == 2
    assert "| 3 |" in text and "| – | – |" in text


def test_a_frontier_is_of_the_objectives_metric():
    tasks = ("a", "b")
    trials = [trial(tasks, [0.5, 1.5], [2.0, 1.0]) for _ in range(2)]
    for number, it in enumerate(trials):
        it["history"][0] |= {"val_a_auc": 0.5, "val_b_auc": 0.5 + 0.1 * number}
    found = frontier(trials, read_objective("test_mean_auc"), 1)
    assert found["metric"] == "auc" and found["higher_is_better"]
    assert [it["is_beaten"] for it in found["points"]] == [True, False]
    del trials[0]["setting"]["loss_weights"]
    assert frontier(trials, read_objective("test_mean_auc"), 1) is None


def test_sensitivity_to_the_learning_rate_as_a_table():
    found = document()
    tried = [(0.012, 0.5), (0.02, 0.25), (0.2, None), (0.004, 0.75)]
    found["tuning"] = [
        {
            "backend": "jax",
            "strategy": "ew",
            "best": 1,
            "trials": [
                {
                    "setting": {"learning_rate": rate},
                    "value": value,
                    "pruned": False,
                    "epochs": 1,
                }
                for rate, value in tried
            ],
        }
    ]
    text = markdown_report(found)
    section = text[text.index("## Learning rates") :]
    head = "0.0032 to 0.01 | 0.01 to 0.032 | 0.032 to 0.1 | 0.1 to 0.32 |"
    assert head in section
    assert "| jax | ew | 0.75 | 0.25 |  | diverged or ended early |" in section


def test_it_is_said_how_much_there_is():
    for report in (html_report, markdown_report):
        assert "8 of 9 runs are done." in report(document())
        assert "runs are done" not in report({**document(), "missing": []})


def test_there_may_be_no_run_yet():
    found = {**document(), "runs": [], "summary": [], "versions": {}}
    assert "0 of 1 runs are done." in html_report(found)
    assert "0 of 1 runs are done." in markdown_report(found)


def test_without_gradients_there_is_no_map():
    found = document()
    for run in found["runs"]:
        run["cosines"] = None
    assert "<h2>Conflicts" in html_report(document())
    assert "<h2>Conflicts" not in html_report(found)


def test_one_backend_has_nothing_to_agree_with():
    found = {**document(), "agreement": [], "missing": []}
    text = html_report(found)
    assert "Agreement" not in text and "Missing" not in text
    assert "Agreement" not in markdown_report(found)


def test_without_matplotlib_the_tables_are_there(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == "matplotlib" else found(name),
    )
    page = Page(html_report(document()))
    shown = " ".join(page.texts)
    assert 'they need Matplotlib, pip install "keras-mtl[demo]"' in shown
    assert "0.55 ± 0.071" in shown and "figure" not in page.tags
