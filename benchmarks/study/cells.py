"""Numbers and tables as the page shows them."""

from benchmarks.steps import table
from benchmarks.study.intervals import Estimate

NOT_RUN = "not run"


def number(
    estimate: Estimate | None, factor: float = 1.0, digits: int = 1
) -> str:
    """Returns a mean, with its interval where there is one."""
    if estimate is None:
        return ""
    mean = f"{factor * estimate.mean:.{digits}f}"
    if estimate.half_width is None:
        return mean
    return f"{mean} ± {factor * estimate.half_width:.{digits}f}"


def difference(
    estimate: Estimate | None, factor: float = 1.0, digits: int = 2
) -> list[str]:
    """Returns a difference with its interval, p value and number of seeds."""
    if estimate is None:
        return [NOT_RUN, "", ""]
    mean = f"{factor * estimate.mean:+.{digits}f}"
    if estimate.half_width is None:
        return [mean, "", "1"]
    width = f"{factor * estimate.half_width:.{digits}f}"
    text = f"{mean} ± {width}"
    if estimate.is_clear:
        text = f"**{text}**"
    p_value = estimate.p_value
    shown = "" if p_value is None else f"{p_value:.3f}"
    if shown == "0.000":
        shown = "< 0.001"
    return [text, shown, str(estimate.count)]


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """Returns a table; a row that is too short ends in empty cells."""
    width = len(head)
    rows = [row + [""] * (width - len(row)) for row in rows]
    return table.aligned([head, *rows])
