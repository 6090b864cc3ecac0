"""What `scripts/mutation` is made of, apart from mutmut."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def part(name):
    """Returns one of the script's files as a module."""
    path = ROOT / "scripts" / "mutation" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"mutation_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


places = part("places")
covering = part("covering")


@pytest.mark.parametrize("place", places.PLACES)
def test_every_pattern_names_files(place):
    for pattern in places.PLACES[place]:
        assert list(ROOT.glob(pattern)), pattern
    assert places.files_of(place) == sorted(set(places.files_of(place)))


def test_all_tests_exist():
    for name in (*places.TESTS, *places.LEFT_OUT):
        assert (ROOT / name).exists(), name
    for name in places.LEFT_OUT:
        assert any(name.startswith(f"{folder}/") for folder in places.TESTS)


def example():
    seconds = {
        "a/test_other.py::slow": 3.0,
        "a/test_other.py::quick": 1.0,
        "a/test_mgda.py::one": 5.0,
        "a/test_third.py::one": 2.0,
    }
    lines = {"k/mgda.py": {7: list(seconds), 9: ["a/test_third.py::one"]}}
    return covering.Covering(seconds, lines)


def test_the_files_own_tests_come_first_and_then_the_quick_ones():
    assert example().tests_of("k/mgda.py", 6, 9, limit=100.0) == [
        "a/test_mgda.py::one",
        "a/test_third.py::one",
        "a/test_other.py::quick",
        "a/test_other.py::slow",
    ]


def test_tests_are_few_enough_but_at_least_one():
    found = example().tests_of("k/mgda.py", 7, 7, limit=7.5)
    assert found == ["a/test_mgda.py::one", "a/test_third.py::one"]
    found = example().tests_of("k/mgda.py", 7, 7, limit=1.0)
    assert found == ["a/test_mgda.py::one"]
    assert example().tests_of("k/mgda.py", 8, 8, limit=7.5) == []
    assert example().tests_of("k/sum.py", 7, 7, limit=7.5) == []
    assert example().tests_named("third") == ["a/test_third.py::one"]


def test_what_is_saved_is_loaded(tmp_path):
    example().save(tmp_path / "covering.json")
    loaded = covering.Covering.load(tmp_path / "covering.json")
    assert loaded == example()
