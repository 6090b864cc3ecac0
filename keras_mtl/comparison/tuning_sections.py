"""The parts of a report that say what was tried, and how much it matters."""

import math
from collections.abc import Sequence
from typing import Any

from keras_mtl.comparison.frontier import title_of
from keras_mtl.comparison.objective import USUAL_OBJECTIVE
from keras_mtl.comparison.objective import Objective
from keras_mtl.comparison.objective import read_objective
from keras_mtl.comparison.tables import Cell
from keras_mtl.comparison.tables import Section
from keras_mtl.comparison.tables import Table
from keras_mtl.comparison.tables import count_cell
from keras_mtl.comparison.tables import number_cell
from keras_mtl.comparison.tables import text_cell

#: Columns of learning rates for each power of ten.
PER_DECADE = 2


def tuning_sections(document: dict[str, Any]) -> list[Section]:
    """Returns what was best, the learning rates, and what weights trade.

    Args:
        document: With `tuning`, `frontier` and `settings` of results.json.
    """
    found = [
        Section(
            "Tuning",
            "The best of the settings that were tried, with one seed, and what "
            "it gave on the validation examples: the user’s own, or else part "
            "of the training examples. No test example was looked at.",
            tuning_table(document),
        )
    ]
    rates = learning_rate_table(document)
    if rates is not None:
        found.append(
            Section(
                "Learning rates",
                "How much the learning rate matters to each strategy: the best "
                "validation result of the trials in each range.",
                rates,
            )
        )
    for index, frontier in enumerate(document.get("frontier", [])):
        text = ""
        if not index:
            text = (
                "What each of the tried loss weights gave for each task, on "
                "the validation examples, with the other settings that were "
                "tried along with it. Those on the front are beaten by none "
                "that is as good for each task and better for one; the best "
                "by the objective is marked, and is what runs are trained "
                "with. "
            )
        better = "higher" if frontier["higher_is_better"] else "lower"
        text += f"Values are of {frontier['metric']}, {better} is better."
        found.append(
            Section(title_of(frontier), text, frontier_table(frontier))
        )
    return found


def tuning_table(document: dict[str, Any]) -> Table:
    """A row for each backend and strategy that was tuned."""
    rows = []
    for tuned in document["tuning"]:
        best = tuned["trials"][tuned["best"]]
        rows.append(
            [
                text_cell(tuned["backend"]),
                text_cell(tuned["strategy"]),
                count_cell(len(tuned["trials"])),
                count_cell(sum(it["pruned"] for it in tuned["trials"])),
                count_cell(sum(it["epochs"] for it in tuned["trials"])),
                text_cell(setting_text(best["setting"])),
                number_cell(best["value"]),
            ]
        )
    columns = ["backend", "strategy", "trials", "ended early", "epochs"]
    return Table([*columns, "best", "validation"], rows)


def setting_text(setting: dict[str, Any]) -> str:
    """Returns a setting as it is read: three digits of each number."""
    parts = []
    for name, value in setting.items():
        numbers = value if isinstance(value, list) else [value]
        parts.append(f"{name} {' : '.join(f'{it:.3g}' for it in numbers)}")
    return ", ".join(parts)


def frontier_table(frontier: dict[str, Any]) -> Table:
    """A row for each trial, the best one marked.

    Args:
        frontier: One of `frontier` of results.json.
    """
    rows = []
    for point in frontier["points"]:
        values = point["values"] or [None] * len(frontier["tasks"])
        weights = " : ".join(f"{it:.3g}" for it in point["loss_weights"])
        rows.append(
            [
                count_cell(point["trial"]),
                text_cell(weights),
                *map(number_cell, values),
                text_cell("" if point["is_beaten"] else "on the front"),
            ]
        )
    columns = ["trial", "loss weights", *frontier["tasks"], "front"]
    return Table(columns, rows, best=frontier["best"])


def learning_rate_table(document: dict[str, Any]) -> Table | None:
    """The best result of each strategy by ranges of the learning rate."""
    settings = document["settings"]
    objective = read_objective(settings.get("objective", USUAL_OBJECTIVE))
    found, places = [], set()
    for tuned in document["tuning"]:
        by_place: dict[int, list[float | None]] = {}
        for trial in tuned["trials"]:
            rate = trial["setting"].get("learning_rate")
            if rate is not None:
                place = math.floor(PER_DECADE * math.log10(rate))
                by_place.setdefault(place, []).append(trial["value"])
        if by_place:
            places |= set(by_place)
            found.append((tuned, by_place))
    if not found:
        return None
    columns = range(min(places), max(places) + 1)
    rows = [
        [
            text_cell(tuned["backend"]),
            text_cell(tuned["strategy"]),
            *(_best_cell(by_place.get(it), objective) for it in columns),
        ]
        for tuned, by_place in found
    ]
    titles = [f"{_rate(it)} to {_rate(it + 1)}" for it in columns]
    return Table(["backend", "strategy", *titles], rows)


def _rate(place: int) -> str:
    return f"{10.0 ** (place / PER_DECADE):.2g}"


def _best_cell(
    values: Sequence[float | None] | None, objective: Objective
) -> Cell:
    if values is None:
        return Cell("", None)
    known = [value for value in values if value is not None]
    if not known:
        return Cell("diverged or ended early", None)
    return number_cell(min(known, key=objective.order))
