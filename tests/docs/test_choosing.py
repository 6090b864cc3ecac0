"""What the guide to methods says is so."""

import re
from pathlib import Path

import numpy as np
import pytest

from keras_mtl import Strategy
from keras_mtl import aggregators
from keras_mtl import balancers
from keras_mtl import flatness
from keras_mtl.strategies import compatibility
from tests.backend_tools import numpy
from tests.backend_tools import tensor

PAGE = Path(__file__).parents[2] / "docs" / "choosing.md"
FACTORS = (20.0, 0.05)


def tables(heading):
    """Yields the tables under a heading as dicts, by the name in a row."""
    section = PAGE.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    for part in section.split("\n\n"):
        lines = [line for line in part.splitlines() if line.startswith("|")]
        if lines:
            head, _, *rows = [
                [cell.strip() for cell in line.strip("|").split("|")]
                for line in lines
            ]
            yield {
                row[0].strip("`"): dict(zip(head, row, strict=True))
                for row in rows
            }


AGGREGATORS, exceptions = tables("Aggregators")
EXCEPTIONS = {
    name: set(re.findall(r"`(\w+)`", row["methods"]))
    for name, row in exceptions.items()
}
(BALANCERS,) = tables("Balancers")
(FLATNESS,) = tables("Flatness")


def works(**kwargs):
    """Whether a strategy of these parts is accepted."""
    try:
        Strategy(**kwargs)
    except ValueError:
        return False
    return True


def test_every_method_is_in_its_table():
    assert list(AGGREGATORS) and set(AGGREGATORS) == set(
        aggregators.REGISTRY.names()
    )
    assert set(BALANCERS) == set(balancers.REGISTRY.names())
    assert set(FLATNESS) == {"none", *flatness.REGISTRY.names()}


def test_exceptions_are_methods():
    assert set().union(*EXCEPTIONS.values()) <= set(AGGREGATORS)


@pytest.mark.parametrize("name", AGGREGATORS)
def test_aggregators(name):
    aggregator = aggregators.get(name)
    by_representation = works(aggregator=name, gradients="representation")
    assert by_representation == (name not in EXCEPTIONS["no representation"])
    by_preference = works(aggregator=name, loss_weights="preference")
    assert by_preference == (name in EXCEPTIONS["preference"])
    passes = 1 if aggregator.linear else "K"
    if aggregator.samples > 1:
        passes = f"{aggregator.samples} K"
    rows = "2 K" if aggregator.keeps_rows else passes
    cost = f"{passes} pass{'es' * (passes != 1)}, {rows} row{'s' * (rows != 1)}"
    found = [it for it in EXCEPTIONS if "row" in it and name in EXCEPTIONS[it]]
    assert found == ([] if cost == "K passes, K rows" else [cost])
    choose = AGGREGATORS[name]["choose it"]
    assert ("three tasks" in choose) == (aggregator.min_tasks == 3)


def is_scale_free(direction_at, num_tasks):
    """Whether a direction stays when one task's loss is multiplied.

    Args:
        direction_at: Function from factors `[K]` of the losses to an array.
        num_tasks: Number of tasks K.
    """
    before = direction_at(np.ones(num_tasks, dtype="float32"))
    cosines = []
    for task in range(num_tasks):
        for factor in FACTORS:
            factors = np.ones(num_tasks, dtype="float32")
            factors[task] = factor
            after = direction_at(factors)
            cosines.append(
                before @ after / np.linalg.norm(before) / np.linalg.norm(after)
            )
    # Solvers in single precision leave about 1e-6 of the cosine.
    return min(cosines) > 1 - 1e-4


@pytest.mark.parametrize("name", AGGREGATORS)
def test_scale_free_aggregators(name):
    cls = type(aggregators.get(name))
    # The averages of DB-MTL, switched off, are what remembers a scale.
    settings = {"beta": 0.0} if name == "db_mtl" else {}
    if aggregators.get(name).seed_generator is not None:
        settings["seed"] = 1
    jacobian = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")

    def direction_at(factors):
        rows = tensor(factors[:, None] * jacobian)
        return numpy(cls(**settings)(rows, losses=tensor(factors)))

    scale_free = is_scale_free(direction_at, 4)
    assert scale_free == (name in EXCEPTIONS["scale-free"])


@pytest.mark.parametrize("name", sorted(set(BALANCERS) - {"auto_lambda"}))
def test_balancers(name):
    row, balancer = BALANCERS[name], balancers.get(name)
    settings = {} if balancer.seed_generator is None else {"seed": 1}
    losses = np.array([0.5, 1.0, 2.0], dtype="float32")

    def direction_at(factors):
        weights = numpy(type(balancer)(**settings)(tensor(factors * losses)))
        # Of the tasks' relative gradients.
        return weights * factors

    assert row["scale-free"].startswith("yes") == is_scale_free(direction_at, 3)
    extra = "a forward pass" if balancer.observes else "none"
    assert row["extra passes"] == extra


def test_what_cannot_go_together_is_what_is_refused():
    page = PAGE.with_name("compositions.md").read_text()
    assert compatibility.table() in page
