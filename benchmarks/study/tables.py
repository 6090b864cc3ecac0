"""Numbers, and differences between methods, as the page shows them."""

from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

from benchmarks.steps.table import aligned
from benchmarks.study.results import BySeed
from benchmarks.study.results import Results
from keras_mtl.comparison.statistics import Estimate
from keras_mtl.comparison.statistics import estimate
from keras_mtl.comparison.statistics import paired

NOT_RUN = "not run"

#: Names of two methods, the second of which is the base.
Pair = tuple[str, str]

#: Records of a method by seed.
Records = dict[int, dict[str, Any]]


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


def difference_cells(
    estimate: Estimate | None, factor: float = 1.0, digits: int = 2
) -> list[str]:
    """Returns a difference with its interval, p value and number of seeds."""
    if estimate is None:
        return [NOT_RUN, "", ""]
    mean = f"{factor * estimate.mean:+.{digits}f}"
    if estimate.half_width is None:
        return [mean, "", str(estimate.seeds)]
    width = f"{factor * estimate.half_width:.{digits}f}"
    text = f"{mean} ± {width}"
    if estimate.excludes_zero:
        text = f"**{text}**"
    p_value = estimate.p_value
    shown = "" if p_value is None else f"{p_value:.3f}"
    if shown == "0.000":
        shown = "< 0.001"
    return [text, shown, str(estimate.seeds)]


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """Returns a table; a row that is too short ends in empty cells."""
    width = len(head)
    rows = [row + [""] * (width - len(row)) for row in rows]
    return aligned([head, *rows])


def differences(
    pairs: Iterable[Pair], values: Callable[[str], BySeed]
) -> dict[Pair, Estimate | None]:
    """Returns the mean difference of each pair, over common seeds."""
    return {
        (method, base): paired(values(method), values(base))
        for method, base in pairs
    }


def rows(
    results: Results,
    found: dict[Pair, Estimate | None],
    factor: float,
) -> list[list[str]]:
    """Returns a row for each pair: names, difference, p value, seeds."""
    title = {method.name: method.title for method in results.experiment.methods}
    return [
        [title[method], title[base], *difference_cells(estimate, factor)]
        for (method, base), estimate in found.items()
    ]


def method_rows(
    results: Results, cells_of: Callable[[str, Records], list[str]]
) -> list[list[str]]:
    """Returns a row for each method, from its name and its records by seed."""
    found = []
    for method in results.experiment.methods:
        records = results.by_seed(method.name)
        cells = cells_of(method.name, records) if records else [NOT_RUN]
        found.append([method.title, *cells])
    return found


def mean(
    records: Records,
    read: Callable[[dict[str, Any]], float],
    factor: float = 100.0,
    digits: int = 1,
) -> str:
    """Returns the mean of a number of each record, with its interval."""
    values = {seed: read(record) for seed, record in records.items()}
    return number(estimate(values), factor, digits)


def radius(records: Records) -> str:
    """Returns the radius of the records, nothing if they have none."""
    rho = next(iter(records.values()))["rho"]
    return "" if rho is None else f"{rho:g}"


def base_pairs(results: Results) -> list[Pair]:
    """Returns each method that has a base with it."""
    return [
        (method.name, method.base)
        for method in results.experiment.methods
        if method.base is not None
    ]


def statement(
    subject: str, found: Estimate | None, factor: float, unit: str
) -> str:
    """Returns a sentence about one difference."""
    text, p_value, seeds = difference_cells(found, factor)
    if found is None:
        return f"{subject}: {text}."
    if found.half_width is None:
        return f"{subject}: {text} {unit} ({seeds} seeds), without an interval."
    p_text = f", p {p_value}" if p_value.startswith("<") else f", p = {p_value}"
    return (
        f"{subject}: {text} {unit} ({seeds} seeds{p_text if p_value else ''})."
    )


def summary(subject: str, found: dict[Any, Estimate | None]) -> str:
    """Returns a sentence: how many differences point where, and how surely."""
    known = [it for it in found.values() if it is not None]
    if not known:
        return f"{subject}: not run."
    above = sum(it.mean > 0 for it in known)
    text = f"{subject}: higher in {above} of {len(known)}"
    if len(known) < len(found):
        text += f" (and {len(found) - len(known)} not run)"
    if any(it.half_width is None for it in known):
        return f"{text}, some of them without an interval."
    better = sum(it.excludes_zero and it.mean > 0 for it in known)
    worse = sum(it.excludes_zero and it.mean < 0 for it in known)
    return (
        f"{text}; the 95 % interval is above 0 in {better}, below 0 in "
        f"{worse} of them."
    )
