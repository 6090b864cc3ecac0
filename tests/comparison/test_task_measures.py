"""Measures over all tasks, against numbers that were computed by hand."""

import pytest

from keras_mtl.comparison.answer import answers
from keras_mtl.comparison.html_report import html_report
from keras_mtl.comparison.markdown_report import markdown_report
from keras_mtl.comparison.task_measures import task_measures
from keras_mtl.comparison.task_measures import task_results
from tests.comparison.made_up import document
from tests.comparison.made_up import record

STRATEGIES = ("single_task", "ew", "mgda")


def run(strategy, seed, auc, first_mae, second_mae, status="finished"):
    logs = {
        "val_loss": 1.0,
        "val_a_loss": 9.0,
        "val_a_auc": auc,
        "val_a_mae": first_mae,
        "val_a_b_mae": second_mae,
        # Its name does not tell what is better.
        "val_a_b_speed": 1.0,
    }
    return {
        **record("jax", strategy, seed, [0.5], tasks=("a", "a_b")),
        "history": [logs],
        "status": status,
    }


RUNS = [
    run("single_task", 0, 0.5, 2.0, 4.0),
    run("ew", 0, 0.6, 2.2, 3.0),
    run("mgda", 0, 0.4, 2.0, 4.0),
    run("single_task", 1, 0.5, 2.0, 4.0),
    run("ew", 1, 0.5, 2.0, 2.0),
    run("mgda", 1, 9.9, 0.0, 0.0, "diverged"),
]


def test_changes_within_seeds():
    assert task_results(RUNS[0]) == {
        "a": {"auc": 0.5, "mae": 2.0},
        "a_b": {"mae": 4.0},
    }
    found = task_measures(RUNS, STRATEGIES)
    # Seed 0: +20 %, -10 % and +25 %; seed 1: +50 % of the second task.
    expected = {
        "test_delta_m": [-35.0 / 3.0, -50.0 / 3.0],
        "test_delta_p": [15.0, 25.0],
        "test_hypervolume": [1.05 * 1.25, 1.0 * 1.5],
        "test_mean_rank": [(1 + 3 + 1) / 3, (1.5 + 1.5 + 1) / 3],
    }
    for name, values in expected.items():
        assert found[name]["ew"] == pytest.approx(dict(enumerate(values))), name
        assert list(found[name]["mgda"]) == [0]
    assert found["test_delta_m"]["single_task"] == {0: 0.0, 1: 0.0}
    assert found["test_hypervolume"]["single_task"] == {0: 1.0, 1: 1.0}
    assert found["test_mean_rank"]["single_task"] == pytest.approx(
        {0: (2 + 1.5 + 2.5) / 3, 1: (1.5 + 1.5 + 2) / 3}
    )


def test_what_has_no_relative_change_is_left_out():
    runs = [run("single_task", 0, -0.5, 2.0, 4.0), run("ew", 0, 1.0, 1.0, 4.0)]
    # The better by 50 % and 0 %: the negative one does not count.
    found = task_measures(runs, ("single_task", "ew"))
    assert found["test_delta_p"]["ew"] == {0: 25.0}
    # Ranks need all strategies, and changes the models of single tasks.
    assert "test_mean_rank" not in task_measures(runs, STRATEGIES)
    assert task_measures(runs[1:], STRATEGIES) == {}
    assert task_measures([*runs[1:], RUNS[0] | {"seed": 3}], STRATEGIES).keys()


def test_they_are_objectives_and_shown():
    found = document(strategies=STRATEGIES)
    found["settings"] |= {"objective": "test_delta_m", "baseline": "ew"}
    jax, _ = answers(found)
    assert [row.strategy for row in jax.rows] == ["mgda", "ew", "single_task"]
    assert jax.rows[-1].value.mean == 0.0
    text = markdown_report(found)
    section = text[text.index("## Against single-task models") :]
    assert "| jax | single\\_task | 0 | 0 | 3 | 1 |" in section
    assert "Metrics: left/accuracy, right/accuracy." in section
    assert "<h2>Against single-task models" in html_report(found)
    assert "Against" not in markdown_report(document())
