"""Tables of differences between methods, and what can be said of them."""

from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

from benchmarks.study import cells
from benchmarks.study.intervals import Estimate
from benchmarks.study.intervals import paired
from benchmarks.study.results import BySeed
from benchmarks.study.results import Results

#: Names of two methods, the second of which is the base.
Pair = tuple[str, str]


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
        [title[method], title[base], *cells.difference(estimate, factor)]
        for (method, base), estimate in found.items()
    ]


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
    text, p_value, seeds = cells.difference(found, factor)
    if found is None:
        return f"{subject}: {text}."
    if found.half_width is None:
        return f"{subject}: {text} {unit} with one seed, which proves nothing."
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
        return f"{text}, with a single seed for some, which proves nothing."
    better = sum(it.is_clear and it.mean > 0 for it in known)
    worse = sum(it.is_clear and it.mean < 0 for it in known)
    return (
        f"{text}; the 95 % interval is above 0 in {better}, below 0 in "
        f"{worse} of them."
    )
