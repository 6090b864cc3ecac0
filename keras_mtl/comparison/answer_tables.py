"""The answer as a table, for every kind of report."""

import math

from keras_mtl.comparison.answer import Answer
from keras_mtl.comparison.answer import Row
from keras_mtl.comparison.statistics import Estimate
from keras_mtl.comparison.tables import Cell
from keras_mtl.comparison.tables import Table
from keras_mtl.comparison.tables import number_cell
from keras_mtl.comparison.tables import text_cell

#: What a table of the answer shows, below the answer in words.
LEGEND = (
    "Last epoch; ± is half of a 95 % interval of Student’s t distribution. "
    "Differences are taken within seeds; p values are those of paired t "
    "tests, by Holm’s method corrected for the number of strategies; seeds "
    "are those that agree on the sign, of all that both have finished. A run "
    "that diverged counts as worse than any: what has one is neither marked "
    "as the best nor called better, and nothing is called worse than it."
)


def answer_table(answer: Answer) -> Table:
    """Returns a row for each strategy, the best first."""
    rows = [
        [
            text_cell(row.title),
            estimate_cell(row.value),
            *difference_cells(answer, row),
        ]
        for row in answer.rows
    ]
    return Table(
        [
            "strategy",
            answer.objective.title,
            f"− {answer.baseline}",
            "p",
            "seeds",
        ],
        rows,
        best=None if answer.best is None else 0,
    )


def difference_cells(answer: Answer, row: Row) -> list[Cell]:
    """Returns the difference, its p value and the seeds that agree."""
    if row.strategy == answer.baseline:
        return [Cell("baseline", None), Cell("", None), Cell("", None)]
    if row.difference is None:
        return [number_cell(None)] * 3
    agreeing = row.difference.agreeing
    return [
        estimate_cell(row.difference, sign="+"),
        Cell(p_text(row.p_value), row.p_value),
        Cell(f"{agreeing} of {row.difference.seeds}", agreeing),
    ]


def estimate_cell(estimate: Estimate | None, sign: str = "") -> Cell:
    """A cell with a mean and its interval."""
    if estimate is None:
        return number_cell(None)
    return Cell(estimate_text(estimate, sign), estimate.mean)


def estimate_text(estimate: Estimate, sign: str = "") -> str:
    """Returns a mean and its interval, to two digits of the interval or more.

    Args:
        estimate: The mean.
        sign: `"+"` for a sign in any case. Defaults to `""`.
    """
    mean, half_width = estimate.mean, estimate.half_width
    if half_width is None:
        return f"{mean:{sign}.4g}"
    # As many places behind the point as two digits of the interval need.
    places = 1 - math.floor(math.log10(half_width))
    if mean and not sign:
        # Seeds may differ by more than methods: three digits of the mean.
        places = max(places, 2 - math.floor(math.log10(abs(mean))))
    places = max(0, places)
    if places <= 6:
        return f"{mean:{sign}.{places}f} ± {half_width:.{places}f}"
    return f"{mean:{sign}.4g} ± {half_width:.2g}"


def p_text(p_value: float | None) -> str:
    """Returns a p value to three places."""
    if p_value is None:
        return "–"
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"
