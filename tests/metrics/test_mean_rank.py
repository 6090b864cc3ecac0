import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from keras_mtl.metrics import mean_rank


@given(
    st.integers(1, 5).flatmap(
        lambda width: st.lists(
            st.lists(st.integers(0, 3), min_size=width, max_size=width),
            min_size=1,
            max_size=6,
        )
    ),
    st.integers(0, 31),
)
def test_ranks_of_scipy(table, flags):
    table = np.array(table, dtype="float64")
    names = [f"metric{number}" for number in range(table.shape[1])]
    higher = {name for bit, name in enumerate(names) if flags >> bit & 1}
    results = {
        f"method{number}": dict(zip(names, row, strict=True))
        for number, row in enumerate(table.tolist())
    }
    signs = [-1.0 if name in higher else 1.0 for name in names]
    expected = rankdata(table * signs, axis=0).mean(axis=1)
    found = mean_rank(results, higher)
    assert list(found) == list(results)
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-12)


def test_example_of_the_documentation():
    ranks = mean_rank(
        {
            "ew": {"task": {"accuracy": 0.8, "error": 0.3}},
            "db_mtl": {"task": {"accuracy": 0.9, "error": 0.3}},
        },
        {"accuracy"},
    )
    assert ranks == {"ew": 1.75, "db_mtl": 1.25}


@pytest.mark.parametrize(
    "results, message",
    [
        ({}, "from methods to results, not empty"),
        ({"a": {"x": 1.0}, "b": {"y": 1.0}}, r"`results\['b'\]` must have"),
        ({"a": {"x": 1.0}, "b": {"x": float("nan")}}, "for 'x' of 'b'. Leave"),
    ],
)
def test_wrong_arguments(results, message):
    with pytest.raises(ValueError, match=message):
        mean_rank(results, True)


def test_positions_in_place_of_names():
    ranks = mean_rank({"a": [0.9, 0.5], "b": [0.95, 0.6]}, [True, False])
    assert ranks == {"a": 1.5, "b": 1.5}
    ranks = mean_rank({"a": [0.9, 0.5], "b": [0.95, 0.4]}, [True, False])
    assert ranks == {"a": 2.0, "b": 1.0}
