"""Experiment C on the page: three domains, one with few labels."""

import numpy as np

from benchmarks.study import cells
from benchmarks.study import comparisons
from benchmarks.study.domains import FEW
from benchmarks.study.domains import SHARE_OF_FEW
from benchmarks.study.intervals import estimate
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
    pairs = [*comparisons.base_pairs(results), ("ew", "single")]
    pairs += [("ew_task_sam", "ew_global_sam"), ("fs_db_mtl", "single")]
    found = comparisons.differences(
        pairs, lambda name: results.values(name, _few)
    )
    methods = results.experiment.methods
    return [
        f"{settings['num_train']:,} training images for two of the domains "
        f"and {few} for `{FEW}`; {settings['epochs']} epochs of batches of "
        f"{settings['batch_size']}. The radius was chosen by the mean "
        "accuracy of all domains.",
        cells.markdown(
            ["method", "mnist", "fashion_mnist", FEW, "mean", "rho", "seeds"],
            [_row(results, method.name) for method in methods],
        ),
        f"Differences of the accuracy on `{FEW}`, between runs with the same "
        "seed:",
        cells.markdown(
            ["method", "against", "accuracy, points", "p value", "seeds"],
            comparisons.rows(results, found, 100.0),
        ),
        f"![Validation accuracy by radius](assets/study_rho_"
        f"{results.dataset}.svg)",
    ]


def headlines(results: Results) -> list[str]:
    """Returns what the data set says about the question, in sentences."""
    pairs = [("ew", "single"), ("ew_task_sam", "ew"), ("fs_db_mtl", "db_mtl")]
    title = {method.name: method.title for method in results.experiment.methods}
    found = comparisons.differences(
        pairs, lambda name: results.values(name, _few)
    )
    return [
        comparisons.statement(
            f"accuracy on `{FEW}` of {title[method]} against {title[base]}",
            difference,
            100.0,
            "points",
        )
        for (method, base), difference in found.items()
    ]


def _few(record):
    return record["test"][FEW]["accuracy"]


def _row(results: Results, name: str) -> list[str]:
    records = results.by_seed(name)
    title = results.experiment.method(name).title
    if not records:
        return [title, cells.NOT_RUN]
    row = [title]
    for domains in (("mnist",), ("fashion_mnist",), (FEW,), None):
        values = {
            seed: float(
                np.mean(
                    [
                        record["test"][domain]["accuracy"]
                        for domain in domains or record["test"]
                    ]
                )
            )
            for seed, record in records.items()
        }
        row.append(cells.number(estimate(values), 100.0, 1))
    rho = next(iter(records.values()))["rho"]
    return [*row, "" if rho is None else f"{rho:g}", str(len(records))]
