"""Relative changes, against what papers report of their own tables."""

import numpy as np
import pytest

from keras_mtl.metrics import delta_m
from keras_mtl.metrics import delta_p

NYUV2 = {
    "segmentation": ("miou", "pixel_accuracy"),
    "depth": ("absolute_error", "relative_error"),
    "normal": ("mean", "median", "11.25", "22.5", "30"),
}
CITYSCAPES = {key: NYUV2[key] for key in ("segmentation", "depth")}
HIGHER = {"miou", "pixel_accuracy", "11.25", "22.5", "30"}

# Phan et al., ICCV 2025, arXiv:2211.13723, Tables 3 and 4, single tasks.
SEGNET = "38.30 63.76 .6754 .2780 25.01 19.21 30.14 57.20 69.15"
CITY = "74.01 93.16 .0125 27.77"
# Lin et al., arXiv:2308.12029, Table 1, single tasks.
DEEPLAB = "53.50 75.39 .3926 .1605 21.99 15.16 39.04 65.00 75.16"

# Method, its row, the baseline's; the reported number, delta_m or delta_p;
# the other one, computed from the row.
ROWS = [
    # arXiv:2211.13723, Table 3; the first three rows are of Navon et al.,
    # arXiv:2202.01017, and of its successors.
    (
        "LS",
        "39.29 65.33 .5493 .2263 28.15 23.96 22.09 47.50 61.08",
        SEGNET,
        5.59,
        0.88,
    ),
    (
        "Nash-MTL",
        "40.13 65.93 .5261 .2171 25.26 20.08 28.40 55.47 68.15",
        SEGNET,
        -4.04,
        7.65,
    ),
    (
        "MGDA",
        "30.47 59.90 .6070 .2555 24.88 19.45 29.18 56.88 69.36",
        SEGNET,
        1.38,
        -1.66,
    ),
    (
        "F-MGDA",
        "26.42 58.78 .6078 .2353 24.34 18.45 31.64 58.86 70.50",
        SEGNET,
        -0.33,
        -1.15,
    ),
    (
        "F-PCGrad",
        "40.05 65.42 .5429 .2243 27.38 23.00 23.47 49.35 62.74",
        SEGNET,
        3.14,
        2.73,
    ),
    (
        "F-CAGrad",
        "40.93 66.68 .5285 .2162 25.43 20.39 27.99 54.82 67.56",
        SEGNET,
        -3.78,
        7.81,
    ),
    (
        "F-IMTL",
        "40.42 65.61 .5389 .2121 25.03 19.75 28.90 56.19 68.72",
        SEGNET,
        -4.77,
        8.10,
    ),
    # arXiv:2308.12029, Table 1, which reports delta_p: -1.78 and 1.15.
    (
        "EW",
        "53.93 75.53 .3825 .1577 23.57 17.01 35.04 60.99 72.05",
        DEEPLAB,
        3.85,
        -1.78,
    ),
    (
        "DB-MTL",
        "53.92 75.60 .3768 .1557 21.97 15.37 38.43 64.81 75.24",
        DEEPLAB,
        -0.56,
        1.15,
    ),
    # arXiv:2211.13723, Table 4. Of the last two, 0.67 and 1.87 are reported:
    # .0129 and .0124 have too few digits to give these.
    ("Cityscapes MGDA", "68.84 91.54 .0309 33.50", CITY, 44.14, -44.14),
    ("Cityscapes F-MGDA", "73.77 93.12 .0129 27.44", CITY, 0.59, -0.59),
    ("Cityscapes F-IMTL", "76.63 93.76 .0124 31.17", CITY, 1.81, -1.81),
]


def nested(row):
    values = iter(float(word) for word in row.split())
    tasks = NYUV2 if len(row.split()) == 9 else CITYSCAPES
    return {
        task: {name: next(values) for name in names}
        for task, names in tasks.items()
    }


@pytest.mark.parametrize(
    "row, baseline, drop, gain",
    [row[1:] for row in ROWS],
    ids=[row[0] for row in ROWS],
)
def test_published_tables(row, baseline, drop, gain):
    results, baselines = nested(row), nested(baseline)
    higher = HIGHER & {name for of in results.values() for name in of}
    # Reported with two digits, of means of runs of which only these rounded
    # numbers are known.
    assert delta_m(results, baselines, higher) == pytest.approx(drop, abs=0.011)
    assert delta_p(results, baselines, higher) == pytest.approx(gain, abs=0.011)


def test_the_two_disagree_where_tasks_have_many_metrics():
    results, baselines = nested(ROWS[0][1]), nested(SEGNET)
    assert delta_m(results, baselines, HIGHER) > 0
    assert delta_p(results, baselines, HIGHER) > 0
    results = nested(ROWS[3][1])
    assert delta_m(results, baselines, HIGHER) < 0
    assert delta_p(results, baselines, HIGHER) < 0


def test_forms_of_the_arguments():
    results = {"a": {"x": 1.1, "y": 2.0}, "b": {"x": 3.0}}
    baselines = {"b": {"x": np.float32(2.0)}, "a": {"y": 4, "x": 1.0}}
    # Gains: 10, 50 and 50 %.
    by_metric = {
        "a": {"x": True, "y": False},
        "b": {"x": True},
    }
    by_name = {"x": True, "y": False}
    for higher in (by_metric, by_name, {"x"}, ["x"]):
        assert delta_m(results, baselines, higher) == pytest.approx(-110 / 3)
        assert delta_p(results, baselines, higher) == pytest.approx(40)
    assert delta_m(results, baselines, True) == pytest.approx(-10 / 3)
    assert delta_m(results, baselines, np.bool_(False)) == pytest.approx(10 / 3)
    # A number is a task with one metric.
    flat = {"a": 0.9, "b": 3.0}
    of_flat = {"a": 1.0, "b": 2.0}
    assert delta_m(flat, of_flat, {"b"}) == pytest.approx(-30)
    assert delta_p(flat, of_flat, {"b"}) == pytest.approx(30)
    assert delta_p(
        {"a": 1.0, **{"c": {"x": 2.0}}}, {"a": 2.0, "c": {"x": 2.0}}, {"a"}
    ) == pytest.approx(-25)


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_positions_in_place_of_names(kind):
    # Gains: 10 %, 50 % of the first task, 50 % of the second.
    by_task = {"a": kind([1.1, 2.0]), "b": kind([3.0])}
    baselines = {"a": kind([1.0, 4.0]), "b": kind([2.0])}
    for higher in (
        {"a": kind([True, False]), "b": kind([True])},
        {"a": [True, False], "b": True},
        kind([True, False, True]),
    ):
        assert delta_m(by_task, baselines, higher) == pytest.approx(-110 / 3)
        assert delta_p(by_task, baselines, higher) == pytest.approx(40)
    nested_lists = list(by_task.values()), list(baselines.values())
    higher = [[True, False], [True]]
    assert delta_m(*nested_lists, higher) == pytest.approx(-110 / 3)
    assert delta_p(*nested_lists, higher) == pytest.approx(40)
    # Each number of a flat list is a task.
    flat = kind([1.1, 2.0, 3.0]), kind([1.0, 4.0, 2.0])
    higher = kind([True, False, True])
    assert delta_m(*flat, higher) == pytest.approx(-110 / 3)
    assert delta_p(*flat, higher) == pytest.approx(110 / 3)


def test_one_bool_per_task():
    results = {"a": {"x": 1.1, "y": 2.0}, "b": {"x": 3.0}}
    baselines = {"a": {"x": 1.0, "y": 4.0}, "b": {"x": 2.0}}
    # Gains: 10, -50 and -50 %.
    higher = {"a": True, "b": False}
    assert delta_m(results, baselines, higher) == pytest.approx(30)
    assert delta_p(results, baselines, higher) == pytest.approx(-35)


@pytest.mark.parametrize("function", [delta_m, delta_p])
@pytest.mark.parametrize(
    "results, baselines, higher, message",
    [
        ({}, {}, True, "`results` must be a dict by task"),
        (1.0, {"a": 1.0}, True, "`results` must be a dict by task"),
        ([], [], True, "`results` must be a dict by task"),
        ([1.0], {"a": 1.0}, True, r"Missing: \['0'\]. Unknown: \['a'\]"),
        ([1.0, 2.0], [1.0], True, r"Missing: \['1'\]"),
        ([1.0, 2.0], [1.0, 2.0], [True], "1 bools for 2 metrics"),
        ([1.0], [1.0], [[True]], r"Missing: \['0'\]. Unknown: \['0/0'\]"),
        ({"a": {}}, {"a": 1.0}, True, r"`results\['a'\]` has no metrics"),
        ({"a": "x"}, {"a": 1.0}, True, "numbers. Received for 'a': 'x'"),
        ({"a": {"x": None}}, {"a": 1.0}, True, "Received for 'a/x': None"),
        ({"a": 1.0}, {"b": 1.0}, True, r"Missing: \['a'\]. Unknown: \['b'\]"),
        ({"a": {"x": 1.0}}, {"a": {"y": 1.0}}, True, r"Missing: \['a/x'\]"),
        ({"a": 1.0}, {"a": 0.0}, True, "Received for 'a': 0.0. Leave"),
        ({"a": 1.0}, {"a": -2.0}, True, "need positive baselines"),
        ({"a": 1.0}, {"a": float("nan")}, True, "need positive baselines"),
        ({"a": 1.0}, {"a": 1.0}, {"b"}, r"names \['b'\], which are no metrics"),
        ({"a": 1.0}, {"a": 1.0}, "a", "must be a bool, a collection of"),
        ({"a": 1.0}, {"a": 1.0}, None, "must be a bool, a collection of"),
        ({"a": 1.0}, {"a": 1.0}, {"a": 1}, "bools. Received for 'a': 1"),
        ({"a": 1.0}, {"a": 1.0}, {"b": True}, r"Missing: \['a'\]"),
    ],
)
def test_wrong_arguments(function, results, baselines, higher, message):
    with pytest.raises(ValueError, match=message):
        function(results, baselines, higher)
