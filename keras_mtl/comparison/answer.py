"""Which strategy is better than the baseline: the first thing of a report."""

from typing import Any
from typing import NamedTuple

from keras_mtl.comparison.objective import USUAL_OBJECTIVE
from keras_mtl.comparison.objective import Objective
from keras_mtl.comparison.objective import read_objective
from keras_mtl.comparison.statistics import Estimate
from keras_mtl.comparison.statistics import estimate
from keras_mtl.comparison.statistics import holm
from keras_mtl.comparison.statistics import paired
from keras_mtl.comparison.summary import measures_of

#: The strategy that others are compared with if none is named.
USUAL_BASELINE = "ew"

#: Chance that one or more differences are named though there are none.
LEVEL = 0.05

#: Values of a measure by strategy, and by seed.
Values = dict[str, dict[int, float]]


class Row(NamedTuple):
    """What is known of a strategy.

    Attributes:
        strategy: Its name.
        value: Mean of the objective; `None` if there is none.
        difference: Mean difference to the baseline, of which there is none
            for the baseline itself.
        p_value: That of the difference, corrected.
        effect: `"better"`, `"worse"`, either with `" before correction"`, or
            `""` where no difference is shown.
    """

    strategy: str
    value: Estimate | None
    difference: Estimate | None
    p_value: float | None
    effect: str


class Answer(NamedTuple):
    """What a backend's runs say, the best strategy first."""

    backend: str
    objective: Objective
    baseline: str
    rows: list[Row]


def baseline_of(settings: dict[str, Any]) -> str:
    """Returns the strategy that the others are compared with."""
    strategies = list(settings["strategies"])
    named = settings.get("baseline")
    if named is not None:
        return named
    return USUAL_BASELINE if USUAL_BASELINE in strategies else strategies[0]


def answers(document: dict[str, Any]) -> list[Answer]:
    """Returns what the runs say, for each backend.

    Args:
        document: With the `settings` and `runs` of results.json.
    """
    settings = document["settings"]
    objective = read_objective(settings.get("objective", USUAL_OBJECTIVE))
    backends = dict.fromkeys(run["backend"] for run in document["runs"])
    return [_answer(document, backend, objective) for backend in backends]


def differences(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns differences to the baseline, in all measures, as JSON has them.

    Args:
        document: With the `settings` and `runs` of results.json.
    """
    found = []
    baseline = baseline_of(document["settings"])
    for backend in dict.fromkeys(run["backend"] for run in document["runs"]):
        measures = _values_of(document, backend)
        for measure, values in measures.items():
            compared = compare(values, baseline)
            for strategy, (difference, p_value) in compared.items():
                found.append(
                    {
                        "backend": backend,
                        "strategy": strategy,
                        "baseline": baseline,
                        "measure": measure,
                        **difference._asdict(),
                        "corrected_p_value": p_value,
                    }
                )
    return found


def compare(
    values: Values, baseline: str
) -> dict[str, tuple[Estimate, float | None]]:
    """Returns differences to the baseline and their corrected p values.

    Args:
        values: Values of a measure.
        baseline: The strategy that the others are compared with.
    """
    base = values.get(baseline, {})
    found = {
        strategy: difference
        for strategy, by_seed in values.items()
        if strategy != baseline
        and (difference := paired(by_seed, base)) is not None
    }
    corrected = holm([it.p_value for it in found.values()])
    return {
        strategy: (difference, p_value)
        for (strategy, difference), p_value in zip(
            found.items(), corrected, strict=True
        )
    }


def statement(answer: Answer) -> str:
    """Returns the answer in words: differences that are more than noise."""
    objective = answer.objective
    better = "higher" if objective.higher_is_better else "lower"
    found = [f"By {objective.title} ({better} is better)"]
    if answer.rows and answer.rows[0].value is not None:
        found[0] += f", {answer.rows[0].strategy} has the best mean"
    by_effect: dict[str, list[str]] = {}
    for row in answer.rows:
        if row.strategy != answer.baseline:
            by_effect.setdefault(row.effect, []).append(row.strategy)
    unknown = by_effect.pop("", [])
    for effect, names in by_effect.items():
        found.append(f"{effect} than {answer.baseline}: {', '.join(names)}")
    if unknown:
        found.append(
            f"no difference to {answer.baseline} is shown for: "
            f"{', '.join(unknown)}"
        )
    text = "; ".join(found) + "."
    if all(row.value is None or row.value.seeds < 2 for row in answer.rows):
        text += " One seed shows none; more do."
    return text


def _answer(
    document: dict[str, Any], backend: str, objective: Objective
) -> Answer:
    baseline = baseline_of(document["settings"])
    values = _values_of(document, backend).get(objective.measure, {})
    compared = compare(values, baseline)
    rows = []
    for strategy in document["settings"]["strategies"]:
        difference, p_value = compared.get(strategy, (None, None))
        rows.append(
            Row(
                strategy,
                estimate(values.get(strategy, {})),
                difference,
                p_value,
                _effect(objective, difference, p_value),
            )
        )

    def order(row: Row) -> tuple[bool, float]:
        # What has no value comes last.
        if row.value is None:
            return True, 0.0
        return False, objective.order(row.value.mean)

    return Answer(backend, objective, baseline, sorted(rows, key=order))


def _effect(
    objective: Objective, difference: Estimate | None, p_value: float | None
) -> str:
    if difference is None or not difference.excludes_zero:
        return ""
    effect = "better" if objective.order(difference.mean) < 0.0 else "worse"
    if p_value is None or p_value > LEVEL:
        effect += " before correction"
    return effect


def _values_of(document: dict[str, Any], backend: str) -> dict[str, Values]:
    """Values of each measure on test data, of runs that have not diverged.

    A strategy with a run in which a measure is not finite has none of it.
    """
    found: dict[str, Values] = {}
    lost: set[tuple[str, str]] = set()
    for run in document["runs"]:
        if run["backend"] != backend or run["status"] != "finished":
            continue
        strategy = run["strategy"]
        for name, value in measures_of(run).items():
            if not name.startswith("test_"):
                continue
            values = found.setdefault(name, {}).setdefault(strategy, {})
            if value is None:
                lost.add((name, strategy))
            else:
                values[run["seed"]] = value
    for name, strategy in lost:
        del found[name][strategy]
    return found
