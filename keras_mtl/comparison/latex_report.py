r"""report.tex: the answer as tables for a paper, which needs `booktabs`."""

from typing import Any

from keras_mtl.comparison.answer import Answer
from keras_mtl.comparison.answer import Row
from keras_mtl.comparison.answer import answers
from keras_mtl.comparison.answer_tables import estimate_text
from keras_mtl.comparison.statistics import Estimate
from keras_mtl.terminal import printable

#: What LaTeX takes for commands, and how it is written.
ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    # After the end of a line it would begin an option.
    "[": "{[}",
    "\n": " ",
    "\t": " ",
}

#: Largest corrected p values, and their marks.
MARKS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))

HEAD = r"""% \usepackage{booktabs}
% Means over seeds with 95 \% intervals; differences within seeds, marked where
% the p value of the paired t test, corrected by Holm's method, is at most 0.05
% (*), 0.01 (**) or 0.001 (***).
"""


def latex_report(document: dict[str, Any]) -> str:
    """Returns a table for each backend.

    Args:
        document: With the `settings` and `runs` of results.json.
    """
    return HEAD + "".join(_table(answer) for answer in answers(document))


def escaped(text: str) -> str:
    """Returns text in which nothing is a command of LaTeX."""
    return "".join(ESCAPES.get(letter, letter) for letter in printable(text))


def _table(answer: Answer) -> str:
    head = ["strategy", escaped(answer.objective.title)]
    head.append(f"difference to {escaped(answer.baseline)}")
    lines = [
        f"% {printable(answer.backend)}",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        f"{' & '.join(head)} \\\\",
        r"\midrule",
    ]
    for row in answer.rows:
        cells = [escaped(row.title), _number(row.value, row is answer.best)]
        cells.append(_number(row.difference, sign="+", mark=_mark(row)))
        lines.append(f"{' & '.join(cells)} \\\\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _number(
    estimate: Estimate | None,
    is_best: bool = False,
    sign: str = "",
    mark: str = "",
) -> str:
    if estimate is None:
        return "--"
    text = estimate_text(estimate, sign).replace("±", r"\pm")
    return rf"$\mathbf{{{text}}}$" if is_best else f"${text}{mark}$"


def _mark(row: Row) -> str:
    # Without an effect it is a difference between what went well.
    p_value = row.p_value if row.effect else None
    for most, mark in MARKS:
        if p_value is not None and p_value <= most:
            return f"^{{{mark}}}"
    return ""
