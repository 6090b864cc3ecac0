"""Experiment A on the page: two overlaid images."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.study import tables
from benchmarks.study.measures import mean_accuracy
from benchmarks.study.results import Results
from keras_mtl.comparison.statistics import estimate
from keras_mtl.comparison.statistics import paired

BASES = ("mgda", "pcgrad", "cagrad", "imtl_g")

#: The radius at which the gaps of all methods are compared, also below.
COMMON_RHO = "0.1"

INTRODUCTION = """\
## A: two overlaid images

Does FS-MTL do better than the aggregator that it builds on? Each image of
36 x 36 pixels shows two pictures, one task each. LeNet is the trunk, a dense
layer per task its head, Adam the optimizer; the paper has a ResNet-18, 120,000
images and 200 epochs, and reports the best epoch on the test images.

"FS-MTL" aggregates the loss part and the flat part apart, "direct" aggregates
the perturbed gradients themselves. Both have plain radii, not those relative to
the weights that the published script uses. "EW, equal time" is plain EW for as
many epochs as fit into the CPU time of a run of FS-MTL.

The columns:

- accuracy: percent of the test images after the last epoch;
- ECE: expected calibration error, 10 bins, percent, mean of the tasks;
- gap: rise of a task's training loss within the radius 0.1 in the direction
  of its gradient, mean of the tasks, the same radius for all methods;
- conflict: share of training batches, some after each epoch, on which the
  tasks' gradients point against each other. It falls as a network fits its
  training data, whatever the reason;
- rho: the radius that was chosen;
- s: CPU seconds per epoch on one thread; of all models for single-task."""

HEAD = [
    "method",
    "left",
    "right",
    "mean accuracy",
    "train",
    "ECE",
    "gap",
    "conflict",
    "rho",
    "epochs",
    "s",
    "seeds",
]


def paragraphs(results: Results) -> list[str]:
    """Returns what is shown of a data set."""
    settings = results.settings
    head = ["method", "against", "accuracy, points", "p value", "seeds"]
    return [
        f"{settings['num_train']:,} training images, "
        f"{settings['num_validation']:,} to choose the radius by, "
        f"{settings['num_test']:,} test images; {settings['epochs']} epochs "
        f"of batches of {settings['batch_size']}.",
        tables.markdown(HEAD, tables.method_rows(results, _cells)),
        "Differences of mean accuracy between runs with the same seed, in "
        "bold where the interval does not contain 0; p values of paired t "
        "tests, not corrected for how many there are:",
        tables.markdown(
            [*head, "gap at rho"],
            _difference_rows(results),
        ),
        "\n".join(f"- {sentence}" for sentence in _summaries(results)),
        f"![Validation accuracy by radius](assets/study_rho_"
        f"{results.dataset}.svg)",
    ]


def _cells(name: str, records: tables.Records) -> list[str]:
    first = next(iter(records.values()))
    has_conflict = "conflict_ratio" in first

    def shown(
        read: Callable[[dict[str, Any]], float],
        factor: float = 100.0,
        digits: int = 1,
    ) -> str:
        return tables.mean(records, read, factor, digits)

    return [
        shown(lambda it: it["test"]["left"]["accuracy"]),
        shown(lambda it: it["test"]["right"]["accuracy"]),
        shown(lambda it: mean_accuracy(it, "test"), digits=2),
        shown(lambda it: mean_accuracy(it, "train")),
        shown(_mean_ece),
        shown(lambda it: it["sam_gap"][COMMON_RHO], 1.0, 2),
        shown(lambda it: it["conflict_ratio"]) if has_conflict else "",
        tables.radius(records),
        str(first["epochs"]),
        f"{np.median([r['cpu_per_epoch'] for r in records.values()]):.2f}",
        str(len(records)),
    ]


def _mean_ece(record: dict[str, Any]) -> float:
    return float(np.mean([task["ece"] for task in record["test"].values()]))


def accuracies(results: Results, name: str) -> dict[int, float]:
    """Returns the mean test accuracy of each seed."""
    return results.values(name, lambda it: mean_accuracy(it, "test"))


def _pairs_of(first: str, second: str) -> list[tables.Pair]:
    return [(first + base, second + base) for base in BASES]


def _difference_rows(results: Results) -> list[list[str]]:
    pairs = tables.base_pairs(results)
    pairs += _pairs_of("fs_", "direct_")
    pairs += [(f"fs_{base}", "ew_equal_time") for base in BASES]
    pairs += [(f"fs_{base}", "ew_global_sam") for base in BASES]
    found = tables.differences(pairs, lambda name: accuracies(results, name))
    rows = tables.rows(results, found, 100.0)
    return [
        [*row, _gaps(results, *pair)]
        for row, pair in zip(rows, found, strict=True)
    ]


def _gaps(results: Results, method: str, base: str) -> str:
    """Returns both gaps at the radius that was chosen for the method."""
    is_flat = results.experiment.method(method).flat
    rho = results.rho(method) if is_flat else None
    if rho is None or not results.by_seed(base):
        return ""
    gaps = [
        results.values(name, lambda it: it["sam_gap"][f"{rho:g}"])
        for name in (base, method)
    ]
    seeds = gaps[0].keys() & gaps[1].keys()
    before, after = (
        estimate({seed: of_seed[seed] for seed in seeds}) for of_seed in gaps
    )
    if before is None or after is None:
        return ""
    return f"{before.mean:.2f} to {after.mean:.2f}"


def gains(known: dict[str, Results]) -> str:
    """Returns a table of what FS-MTL gains over each base, by data set."""
    rows = []
    for base in BASES:
        pair = (f"fs_{base}", base)
        texts = []
        for results in known.values():
            title = results.experiment.method(base).title
            found = paired(*(accuracies(results, name) for name in pair))
            texts.append(tables.difference_cells(found, 100.0)[0])
        rows.append([title, *texts])
    return tables.markdown(["base", *(f"`{it}`" for it in known)], rows)


def _summary(results: Results, subject: str, first: str, second: str) -> str:
    found = tables.differences(
        _pairs_of(first, second), lambda name: accuracies(results, name)
    )
    return tables.summary(subject, found)


def _summaries(results: Results) -> list[str]:
    sentences = [
        _summary(results, "FS-MTL against its base", "fs_", ""),
        _summary(results, "FS-MTL, direct, against its base", "direct_", ""),
        _summary(results, "FS-MTL against direct", "fs_", "direct_"),
    ]
    for base, title in (
        ("ew_equal_time", "EW of equal time"),
        ("ew_global_sam", "EW + GlobalSAM"),
    ):
        found = {
            name: paired(
                accuracies(results, f"fs_{name}"), accuracies(results, base)
            )
            for name in BASES
        }
        sentences.append(tables.summary(f"FS-MTL against {title}", found))
    return sentences
