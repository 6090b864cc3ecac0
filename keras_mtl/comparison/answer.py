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
from keras_mtl.comparison.task_measures import task_measures

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
        diverged: Number of runs that diverged, of which no number tells.
    """

    strategy: str
    value: Estimate | None
    difference: Estimate | None
    p_value: float | None
    effect: str
    diverged: int = 0

    @property
    def title(self) -> str:
        """The strategy, and how often it diverged."""
        if not self.diverged:
            return self.strategy
        return f"{self.strategy} ({self.diverged} diverged)"


class Answer(NamedTuple):
    """What a backend's runs say, the best strategy first."""

    backend: str
    objective: Objective
    baseline: str
    rows: list[Row]

    @property
    def best(self) -> Row | None:
        """The best of those whose mean is one of all runs, if any."""
        row = self.rows[0] if self.rows else None
        return None if row is None or row.value is None or row.diverged else row


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
        measures = values_of(document, backend)
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


def runs_so_far(document: dict[str, Any]) -> str:
    """Returns how much of a comparison there is, nothing if it is all.

    Args:
        document: With the `runs` and `missing` of results.json.
    """
    left = [
        it
        for it in document["missing"]
        if it["seed"] is not None and it.get("trial") is None
    ]
    done = len(document["runs"])
    return f"{done} of {done + len(left)} runs are done." if left else ""


def statement(answer: Answer) -> str:
    """Returns the answer in words: differences that are more than noise."""
    objective = answer.objective
    better = "higher" if objective.higher_is_better else "lower"
    found = [f"By {objective.title} ({better} is better)"]
    if answer.best is not None:
        found[0] += f", {answer.best.strategy} has the best mean"
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
    diverged = [row.title for row in answer.rows if row.diverged]
    if diverged:
        found.append(f"runs diverged of: {', '.join(diverged)}")
    text = "; ".join(found) + "."
    if all(row.value is None or row.value.seeds < 2 for row in answer.rows):
        text += " One seed shows none; more do."
    return text


def _answer(
    document: dict[str, Any], backend: str, objective: Objective
) -> Answer:
    baseline = baseline_of(document["settings"])
    values = values_of(document, backend).get(objective.measure, {})
    compared = compare(values, baseline)
    diverged = _diverged(document, backend)
    rows = []
    for strategy in document["settings"]["strategies"]:
        difference, p_value = compared.get(strategy, (None, None))
        effect = _effect(objective, difference, p_value)
        # The seeds that are left are those that went well: what is lost
        # counts as worse than anything.
        if diverged.get(
            strategy if effect.startswith("better") else baseline, 0
        ):
            effect = ""
        rows.append(
            Row(
                strategy,
                estimate(values.get(strategy, {})),
                difference,
                p_value,
                effect,
                diverged.get(strategy, 0),
            )
        )

    def order(row: Row) -> tuple[int, float]:
        # What has no value comes last, after the means of some runs.
        if row.value is None:
            return 2, 0.0
        return int(row.diverged > 0), objective.order(row.value.mean)

    return Answer(backend, objective, baseline, sorted(rows, key=order))


def _diverged(document: dict[str, Any], backend: str) -> dict[str, int]:
    """How many runs diverged, by strategy."""
    found: dict[str, int] = {}
    for run in document["runs"]:
        if run["backend"] == backend and run["status"] == "diverged":
            found[run["strategy"]] = found.get(run["strategy"], 0) + 1
    return found


def _effect(
    objective: Objective, difference: Estimate | None, p_value: float | None
) -> str:
    if difference is None or not difference.excludes_zero:
        return ""
    effect = "better" if objective.order(difference.mean) < 0.0 else "worse"
    if p_value is None or p_value > LEVEL:
        effect += " before correction"
    return effect


def values_of(document: dict[str, Any], backend: str) -> dict[str, Values]:
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
    runs = [run for run in document["runs"] if run["backend"] == backend]
    return {**found, **task_measures(runs, document["settings"]["strategies"])}
