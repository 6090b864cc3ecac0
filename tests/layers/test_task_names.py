"""Errors for task names, and for dicts by task."""

import pytest

from keras_mtl.layers.task_names import check_keys
from keras_mtl.layers.task_names import checked_tasks


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ("left", "must be a list of task names"),
        (2, "must be a list of task names"),
        ([], "one or more names, each of them once"),
        (["a", "a"], "one or more names, each of them once"),
        (["a", ""], "without '/', not empty"),
        (["a", "b/c"], "without '/', not empty"),
        (["a", 3], "without '/', not empty"),
        (["a", "trunk"], "must not be called 'trunk'"),
    ],
)
def test_bad_names(tasks, message):
    with pytest.raises(ValueError, match=message):
        checked_tasks(tasks, reserved=("trunk",))


def test_good_names():
    assert checked_tasks(["b", "a"]) == ("b", "a")


def test_keys():
    check_keys("The input", {"b": 1, "a": 2}, ("a", "b"))
    with pytest.raises(ValueError, match="The input must be a dict .* a, b"):
        check_keys("The input", [1, 2], ("a", "b"))
    with pytest.raises(ValueError, match="keys a, b. Received: a, c"):
        check_keys("The input", {"a": 1, "c": 2}, ("a", "b"))
