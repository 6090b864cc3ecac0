"""Which strategy is better than the baseline, in numbers and in words."""

import re

import numpy as np
import pytest
from scipy import stats

from keras_mtl.comparison.answer import answers
from keras_mtl.comparison.answer import baseline_of
from keras_mtl.comparison.answer import differences
from keras_mtl.comparison.answer import statement
from keras_mtl.comparison.answer_tables import estimate_text
from keras_mtl.comparison.latex_report import latex_report
from keras_mtl.comparison.objective import read_objective
from keras_mtl.comparison.statistics import Estimate
from tests.comparison.made_up import record

#: Losses on test data by seed: the seeds differ by more than the methods.
LOSSES = {
    "ew": [0.50, 0.70, 0.90, 1.10],
    "pcgrad": [0.40, 0.61, 0.79, 1.00],
    "mgda": [0.51, 0.68, 0.93, 1.09],
    "a_b": [0.70, 0.91, 1.08, 1.33],
}


def document(losses=None, **settings):
    losses = LOSSES if losses is None else losses
    runs = [
        record("jax", strategy, seed, [loss - 1.0])
        for strategy, values in losses.items()
        for seed, loss in enumerate(values)
    ]
    return {
        "settings": {"strategies": tuple(losses), **settings},
        "runs": runs,
    }


def test_differences_within_seeds_in_order():
    (answer,) = answers(document())
    assert [it.strategy for it in answer.rows] == [
        "pcgrad",
        "ew",
        "mgda",
        "a_b",
    ]
    p_values = []
    for row in answer.rows:
        test = stats.ttest_rel(LOSSES[row.strategy], LOSSES["ew"])
        if row.strategy == "ew":
            assert row.difference is row.p_value is None
            continue
        assert row.difference.mean == pytest.approx(
            np.mean(np.subtract(LOSSES[row.strategy], LOSSES["ew"]))
        )
        assert row.difference.p_value == pytest.approx(test.pvalue, rel=1e-6)
        p_values.append((row.p_value, test.pvalue))
    # Holm's: the smallest counts three times, the next twice.
    found, expected = np.array(sorted(p_values)).T
    np.testing.assert_allclose(found, expected * [3, 2, 1], rtol=1e-6)
    agreeing = {row.strategy: row.difference for row in answer.rows}
    assert agreeing["mgda"].agreeing == 2 and agreeing["a_b"].agreeing == 4
    assert statement(answer) == (
        "By test loss (lower is better), pcgrad has the best mean; better "
        "than ew: pcgrad; worse than ew: a_b; no difference to ew is shown "
        "for: mgda."
    )


def test_the_objective_and_the_baseline_are_the_users():
    chosen = document(objective="test_left_accuracy", baseline="mgda")
    (answer,) = answers(chosen)
    assert answer.rows[0].strategy == "a_b" and answer.baseline == "mgda"
    assert "a_b" in statement(answer).split("better than mgda: ")[1]
    assert baseline_of({"strategies": ("mgda", "ew")}) == "ew"
    assert baseline_of({"strategies": ("mgda", "pcgrad")}) == "mgda"


def test_one_seed_shows_nothing():
    (answer,) = answers(document({"ew": [0.5], "mgda": [0.4]}))
    assert [row.effect for row in answer.rows] == ["", ""]
    assert "no difference to ew is shown for: mgda. One seed shows none" in (
        statement(answer)
    )
    assert "±" not in latex_report(document({"ew": [0.5], "mgda": [0.4]}))


def test_what_is_lost_by_the_correction_is_said():
    generator = np.random.default_rng(1)
    others = {f"m{i}": generator.normal(0.5, 0.01, 4) for i in range(30)}
    losses = {"ew": [0.5, 0.501, 0.499, 0.5], **others}
    losses["m0"] = [0.49, 0.492, 0.485, 0.49]
    (answer,) = answers(document(losses))
    (row,) = [it for it in answer.rows if it.strategy == "m0"]
    assert row.difference.p_value < 0.05 < row.p_value
    assert row.effect == "better before correction"


def test_runs_that_diverged_are_left_out():
    found = document()
    for run in found["runs"]:
        if (run["strategy"], run["seed"]) == ("ew", 3):
            run["status"] = "diverged"
        if (run["strategy"], run["seed"]) == ("a_b", 0):
            run["history"][-1]["val_loss"] = None
    (answer,) = answers(found)
    seeds = {
        row.strategy: row.difference and row.difference.seeds
        for row in answer.rows
    }
    # A measure that was not finite is not averaged away: it comes last.
    assert seeds == {"pcgrad": 3, "mgda": 3, "ew": None, "a_b": None}
    assert answer.rows[-1].strategy == "a_b"
    assert answer.rows[-1].value is None


def diverged(*runs):
    found = document()
    for run in found["runs"]:
        if (run["strategy"], run["seed"]) in runs:
            run["status"] = "diverged"
    return found


def test_what_diverged_is_not_called_better_by_the_seeds_that_are_left():
    found = diverged(("pcgrad", 3))
    (answer,) = answers(found)
    # The mean of the other three would be the best.
    rows = {row.strategy: row for row in answer.rows}
    means = {name: row.value.mean for name, row in rows.items()}
    assert min(means, key=means.get) == "pcgrad"
    assert rows["pcgrad"].difference.mean < 0.0
    assert rows["pcgrad"].p_value < 0.05 and rows["pcgrad"].effect == ""
    assert answer.rows[-1].strategy == "pcgrad"
    assert answer.best.strategy == "ew"
    assert statement(answer) == (
        "By test loss (lower is better), ew has the best mean; worse than ew: "
        "a_b; no difference to ew is shown for: mgda, pcgrad; runs diverged "
        "of: pcgrad (1 diverged)."
    )
    lines = latex_report(found).splitlines()
    (row,) = [line for line in lines if line.startswith("pcgrad")]
    assert row.startswith("pcgrad (1 diverged) & $0.") and "*" not in row


def test_nothing_is_called_worse_than_what_diverged():
    (answer,) = answers(diverged(("ew", 0)))
    effects = {row.strategy: row.effect for row in answer.rows}
    # In the other seeds pcgrad is better and a_b is worse.
    assert effects["pcgrad"] == "better" and effects["a_b"] == ""
    assert answer.best.strategy == "pcgrad"


def test_worse_and_diverged_is_worse():
    (answer,) = answers(diverged(("a_b", 2)))
    assert answer.rows[-1].effect == "worse"


def test_nothing_is_best_where_all_diverged_once():
    found = diverged(*((name, 0) for name in LOSSES))
    (answer,) = answers(found)
    assert answer.best is None and "best mean" not in statement(answer)
    assert "mathbf" not in latex_report(found)


def test_all_measures_are_in_the_results():
    found = differences(document())
    measures = {it["measure"] for it in found}
    assert {"test_loss", "test_mean_accuracy"} <= measures
    assert not any(it.startswith("seconds") for it in measures)
    assert len(found) == 3 * len(measures)
    assert set(found[0]) == {
        *("backend", "strategy", "baseline", "measure", "mean", "half_width"),
        *("p_value", "seeds", "agreeing", "corrected_p_value"),
    }


@pytest.mark.parametrize(
    ("name", "higher"),
    [
        ("test_loss", False),
        ("test_mean_accuracy", True),
        ("test_left_sparse_categorical_accuracy", True),
        ("test_depth_mean_absolute_error", False),
        ("test_income_auc", True),
        ("test_speed:max", True),
        ("test_accuracy:min", False),
    ],
)
def test_directions(name, higher):
    assert read_objective(name).higher_is_better is higher


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", "must be the name of a measure on the test data"),
        ("test_speed", "Write test_speed:max or test_speed:min"),
        ("test_loss:up", "must end in `:max` or `:min`"),
    ],
)
def test_what_is_no_objective(name, expected):
    with pytest.raises(ValueError, match=re.escape(expected)):
        read_objective(name)


@pytest.mark.parametrize(
    ("mean", "half_width", "expected"),
    [
        (0.91234, 0.0123, "+0.912 ± 0.012"),
        (1234.4, 99.5, "+1234 ± 100"),
        (1234.4, 250.0, "+1234 ± 250"),
        (0.5, None, "+0.5"),
        (-0.25, 0.1, "-0.25 ± 0.10"),
    ],
)
def test_numbers_are_as_exact_as_their_intervals(mean, half_width, expected):
    assert estimate_text(Estimate(mean, half_width, 0.5, 3, 3), "+") == expected


def test_means_are_told_apart_though_seeds_differ():
    assert estimate_text(Estimate(4.179, 13.2, 0.5, 3, 3)) == "4.18 ± 13.20"


def test_latex_marks_the_best_and_what_is_significant():
    lines = latex_report(document()).splitlines()
    assert r"\toprule" in lines and r"\bottomrule" in lines
    rows = [line for line in lines if line.endswith(r"\\")]
    assert rows[0] == r"strategy & test loss & difference to ew \\"
    assert rows[1].startswith(r"pcgrad & $\mathbf{0.700 \pm 0.")
    assert "^{***}" in rows[1] and "^" not in rows[3]
    assert rows[4] == (r"a\_b & $1.01 \pm 0.42$ & $+0.205 \pm 0.033^{***}$ \\")
    hostile = latex_report(document({"ew": [0.1], "[1]\\input{x}%&": [0.2]}))
    assert r"{[}1]\textbackslash{}input\{x\}\%\&" in hostile
