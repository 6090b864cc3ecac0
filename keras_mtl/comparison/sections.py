"""The parts of a report that have a table."""

from typing import Any

from keras_mtl.comparison.answer import values_of
from keras_mtl.comparison.answer_tables import estimate_cell
from keras_mtl.comparison.problem import SINGLE_TASK
from keras_mtl.comparison.statistics import estimate
from keras_mtl.comparison.tables import Section
from keras_mtl.comparison.tables import Table
from keras_mtl.comparison.tables import agreement_table
from keras_mtl.comparison.tables import cost_table
from keras_mtl.comparison.tables import summary_table
from keras_mtl.comparison.tables import text_cell
from keras_mtl.comparison.task_measures import TITLES
from keras_mtl.comparison.task_measures import counted_metrics
from keras_mtl.comparison.tuning_sections import tuning_sections


def sections(document: dict[str, Any]) -> dict[str, Section]:
    """Returns the parts of the report that have a table, by title.

    Args:
        document: What `ComparisonFolder.collect` returns.
    """
    found = [
        Section(
            "Results",
            "All measures of the last epoch; mean ± standard deviation over "
            "the seeds, which is no interval. The conflict ratio is the share "
            "of pairs of task gradients that point against each other, in all "
            "steps; strategies that take no task gradients have none.",
            summary_table(document),
        ),
        Section(
            "Cost",
            "The median epoch without the first one, which compiles, and "
            "without the evaluation; that divided by the number of steps. "
            "Of several trainings, one for each task, the sums.",
            cost_table(document),
        ),
    ]
    if document.get("tuning"):
        found += tuning_sections(document)
    compared = single_task_section(document)
    if compared is not None:
        found.insert(1, compared)
    if document["agreement"]:
        steps = document["settings"]["agreement_steps"]
        agreement = Section(
            "Agreement of the backends",
            f"Weights after {steps} steps of plain gradient descent from equal "
            "weights on equal batches: the largest difference between two "
            "backends, and how far the weight that moved most has moved. "
            "Rounding alone gives differences far below a thousandth of the "
            "movement. Whatever draws random numbers, dropout for instance, "
            "draws others on each backend.",
            agreement_table(document),
        )
        found.insert(1, agreement)
    return {section.title: section for section in found}


def single_task_section(document: dict[str, Any]) -> Section | None:
    """Returns what all tasks together gain over a model for each.

    Args:
        document: With the `settings` and `runs` of results.json.
    """
    rows, counted = [], dict[str, None]()
    for backend in dict.fromkeys(run["backend"] for run in document["runs"]):
        measures = values_of(document, backend)
        names = counted_metrics(
            [run for run in document["runs"] if run["backend"] == backend]
        )
        counted |= dict.fromkeys(names)
        for strategy in document["settings"]["strategies"]:
            values = [measures.get(it, {}).get(strategy, {}) for it in TITLES]
            if any(values):
                cells = [estimate_cell(estimate(it)) for it in values]
                rows.append([text_cell(backend), text_cell(strategy), *cells])
    if not rows:
        return None
    return Section(
        "Against single-task models",
        f"Relative changes to {SINGLE_TASK} within seeds, with 95 % intervals "
        "over them: Δm, the mean drop over metrics, better if lower; Δp, the "
        "mean gain over tasks, better if higher; the mean rank over metrics "
        "among all strategies, where what diverged is last; and the "
        "hypervolume of the tasks’ gains from −100 %, which is 1 for "
        f"{SINGLE_TASK}. Metrics: {', '.join(counted)}.",
        Table(["backend", "strategy", *TITLES.values()], rows),
    )
