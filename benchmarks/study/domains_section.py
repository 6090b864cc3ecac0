"""Experiment C on the page: three domains, one with few labels."""

import functools
from typing import Any

import numpy as np

from benchmarks.study import tables
from benchmarks.study.domains import FEW
from benchmarks.study.domains import SHARE_OF_FEW
from benchmarks.study.results import Results

INTRODUCTION = """\
## C: three domains, one with few labels

Does a task with few labels gain from its neighbours, and from flatness? Three
tasks, each with inputs of its own, share LeNet: digits of MNIST, clothing of
Fashion-MNIST, and scikit-learn's scans of digits, enlarged from 8 x 8 to
24 x 24 pixels, of which there are few to train on. A step takes a batch of
each; single-task models make as many steps. "EW + TaskSAM" is FS-MTL with
equal weighting, where decomposed and direct are the same."""


def paragraphs(results: Results) -> list[str]:
    """Returns what is shown of a data set."""
    settings = results.settings
    few = round(SHARE_OF_FEW * settings["num_train"])
    pairs = [*tables.base_pairs(results), ("ew", "single")]
    pairs += [("ew_task_sam", "ew_global_sam"), ("fs_db_mtl", "single")]
    found = tables.differences(pairs, lambda name: results.values(name, _few))
    return [
        f"{settings['num_train']:,} training images for two of the domains "
        f"and {few} for `{FEW}`; {settings['epochs']} epochs of batches of "
        f"{settings['batch_size']}. The radius was chosen by the mean "
        "accuracy of all domains.",
        tables.markdown(
            ["method", "mnist", "fashion_mnist", FEW, "mean", "rho", "seeds"],
            tables.method_rows(results, _cells),
        ),
        f"Differences of the accuracy on `{FEW}`, between runs with the same "
        "seed:",
        tables.markdown(
            ["method", "against", "accuracy, points", "p value", "seeds"],
            tables.rows(results, found, 100.0),
        ),
        f"![Validation accuracy by radius](assets/study_rho_"
        f"{results.dataset}.svg)",
    ]


def headlines(results: Results) -> list[str]:
    """Returns what the data set says about the question, in sentences."""
    pairs = [("ew", "single"), ("ew_task_sam", "ew"), ("fs_db_mtl", "db_mtl")]
    title = {method.name: method.title for method in results.experiment.methods}
    found = tables.differences(pairs, lambda name: results.values(name, _few))
    return [
        tables.statement(
            f"accuracy on `{FEW}` of {title[method]} against {title[base]}",
            difference,
            100.0,
            "points",
        )
        for (method, base), difference in found.items()
    ]


def _few(record: dict[str, Any]) -> float:
    return record["test"][FEW]["accuracy"]


def _cells(name: str, records: tables.Records) -> list[str]:
    return [
        *(
            tables.mean(records, functools.partial(_accuracy, domains))
            for domains in (("mnist",), ("fashion_mnist",), (FEW,), None)
        ),
        tables.radius(records),
        str(len(records)),
    ]


def _accuracy(domains: tuple[str, ...] | None, record: dict[str, Any]) -> float:
    """The mean of some domains, `None` for all."""
    of_test = record["test"]
    chosen = domains or of_test
    return float(np.mean([of_test[it]["accuracy"] for it in chosen]))
