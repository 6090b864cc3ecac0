"""Which parts of a strategy can work together: the table of kinds of update.

Each rule names an argument that asks for a kind, and what that kind lacks.
"""

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

from keras_mtl.aggregators import GramianAggregator


class Rule(NamedTuple):
    """A combination that does not exist.

    Attributes:
        what: Its other half, for the table in the docs.
        applies: Whether a strategy is one.
        reason: Why, about `{aggregator}`, `{flatness}` and `{observer}`.
    """

    what: str
    applies: Callable[[Any], bool]
    reason: str


class Choice(NamedTuple):
    """A value of an argument of `Strategy`, and what it cannot go with.

    Attributes:
        argument: The value, for the table in the docs.
        asked: Whether a strategy has it.
        rules: What it cannot go with; the first that applies is told.
        message: What is raised, with `{reason}`.
    """

    argument: str
    asked: Callable[[Any], bool]
    rules: tuple[Rule, ...]
    message: str


def _makes_more_passes(strategy: Any) -> bool:
    return not strategy.makes_one_pass


def _has_groups(strategy: Any) -> bool:
    return strategy.granularity != "model"


def _splits_batches(strategy: Any) -> bool:
    return strategy.aggregator.samples > 1


def _looks_at_more(strategy: Any) -> bool:
    aggregator = strategy.aggregator
    return not aggregator.linear and (
        not isinstance(aggregator, GramianAggregator)
        or type(aggregator).aggregate is not GramianAggregator.aggregate
    )


def _has_no_preference(strategy: Any) -> bool:
    return getattr(strategy.aggregator, "preference", 0) is not None


#: What cannot go with weights of rows that come before the rows.
GRAMIAN_FIRST = (
    Rule(
        "passes elsewhere (`flatness`)",
        _makes_more_passes,
        "the flatness regularizer {flatness} needs the gradients of each task",
    ),
    Rule(
        "aggregators that look at more than inner products",
        _looks_at_more,
        "the aggregator {aggregator} looks at more than inner products "
        "of the gradients",
    ),
    Rule(
        '`granularity` other than `"model"`',
        _has_groups,
        "`granularity` takes a Gramian per group of variables",
    ),
)

CHOICES = (
    Choice(
        '`gradients="representation"`',
        lambda strategy: strategy.gradients == "representation",
        (
            Rule(
                "passes elsewhere (`flatness`)",
                _makes_more_passes,
                "the flatness regularizer {flatness} perturbs along gradients "
                "of the weights",
            ),
            Rule(
                '`granularity` other than `"model"`',
                _has_groups,
                "`granularity` groups gradients of the weights",
            ),
            Rule(
                "aggregators that keep rows",
                lambda strategy: strategy.aggregator.keeps_rows,
                "the aggregator {aggregator} keeps averages of gradients, "
                "which differ with each sample here",
            ),
            Rule(
                "aggregators that split batches",
                _splits_batches,
                "the aggregator {aggregator} compares gradients of different "
                "samples",
            ),
        ),
        'Argument `gradients` cannot be "representation": {reason}. Use '
        'gradients="parameters", or other components.',
    ),
    Choice(
        '`loss_weights="preference"`',
        lambda strategy: strategy.loss_weights == "preference",
        (
            Rule(
                "aggregators without, or with their own, `preference`",
                _has_no_preference,
                "",
            ),
        ),
        'With loss_weights="preference" the aggregator must be one that takes '
        "a `preference`, and not have been given one: UPGrad, DualProj, "
        "AlignedMTL, ConFIG, CAGrad or SDMGrad. Received: "
        "aggregator={aggregator}.",
    ),
    Choice(
        '`memory="low"`',
        lambda strategy: strategy.memory == "low",
        (
            *GRAMIAN_FIRST,
            Rule(
                '`gradients="representation"`',
                lambda strategy: strategy.gradients == "representation",
                'gradients="representation" keeps none of the weights',
            ),
        ),
        'Argument `memory` cannot be "low": {reason}. Use memory="normal", or '
        "an aggregator such as MGDA, UPGrad or CAGrad without more passes.",
    ),
    Choice(
        "`weights_from`",
        lambda strategy: strategy.chosen.asked is not None,
        (
            *GRAMIAN_FIRST,
            Rule(
                '`gradients="representation"`',
                lambda strategy: strategy.gradients == "representation",
                'gradients="representation" says already what they are '
                "computed from",
            ),
            Rule(
                '`memory="low"`',
                lambda strategy: strategy.memory == "low",
                'memory="low" takes them of all shared variables',
            ),
        ),
        "Argument `weights_from` must be None here: {reason}. Received: "
        "weights_from={weights_from!r}",
    ),
    Choice(
        "`update_every` above 1",
        lambda strategy: strategy.update_every > 1,
        GRAMIAN_FIRST,
        "Argument `update_every` must be 1 here: {reason}. Use an aggregator "
        "such as MGDA, UPGrad or CAGrad without more passes. Received: "
        "update_every={update_every}",
    ),
    Choice(
        "`accumulate` above 1",
        lambda strategy: strategy.accumulate > 1,
        (
            Rule(
                "passes elsewhere (`flatness`)",
                _makes_more_passes,
                "the flatness regularizer {flatness} perturbs along the "
                "gradient of the whole batch, which is known after its last "
                "part only",
            ),
            Rule(
                '`gradients="representation"`',
                lambda strategy: strategy.gradients == "representation",
                'gradients="representation" differ with each sample',
            ),
            Rule(
                '`memory="low"`',
                lambda strategy: strategy.memory == "low",
                'memory="low" keeps no gradients of the tasks',
            ),
            Rule(
                "`weights_from`, `update_every` above 1",
                lambda strategy: (
                    strategy.chosen.asked is not None
                    or strategy.update_every > 1
                ),
                "weights of rows are computed before the rows",
            ),
            Rule(
                "aggregators that split batches",
                _splits_batches,
                "the aggregator {aggregator} splits batches itself",
            ),
            Rule(
                "methods that learn from the losses of an update",
                lambda strategy: (
                    strategy.observes or strategy.balancer.uses_passes
                ),
                "{observer} learns from the losses of each update",
            ),
        ),
        "Argument `accumulate` must be 1 here: {reason}. The optimizer's "
        "`gradient_accumulation_steps` averages updates instead. Received: "
        "accumulate={accumulate}",
    ),
    Choice(
        '`combine="second"` or `"each"`',
        lambda strategy: (
            strategy.flatness is not None
            and strategy.flatness.combine in ("second", "each")
        ),
        (
            Rule(
                "aggregators that need losses",
                lambda strategy: strategy.aggregator.needs_losses,
                "which have no losses",
            ),
            Rule(
                "aggregators of three tasks or more",
                lambda strategy: strategy.aggregator.min_tasks > 2,
                "and the method needs {min_tasks}",
            ),
        ),
        "With combine={combine!r} the aggregator merges pairs of a loss part "
        'and a flatness part, {reason}. Use combine="decomposed" or "direct", '
        "or another aggregator. Received: aggregator={aggregator}.",
    ),
)


def table() -> str:
    """Returns what cannot go together, as a table of Markdown."""
    lines = ["| | not with |", "|---|---|"]
    for choice in CHOICES:
        others = ", ".join(rule.what for rule in choice.rules)
        lines.append(f"| {choice.argument} | {others} |")
    return "\n".join(lines)


def check_parts(strategy: Any) -> None:
    """Raises `ValueError` where the arguments ask for no kind of update.

    Args:
        strategy: A `keras_mtl.Strategy`.
    """
    for choice in CHOICES:
        if not choice.asked(strategy):
            continue
        for rule in choice.rules:
            if rule.applies(strategy):
                names = _names(strategy)
                reason = rule.reason.format(**names)
                raise ValueError(choice.message.format(reason=reason, **names))


def _names(strategy: Any) -> dict[str, Any]:
    aggregator = strategy.aggregator
    observer = aggregator if aggregator.observes else strategy.balancer
    return {
        "aggregator": type(aggregator).__name__,
        "flatness": type(strategy.flatness).__name__,
        "observer": type(observer).__name__,
        "min_tasks": aggregator.min_tasks,
        "accumulate": strategy.accumulate,
        "weights_from": strategy.chosen.config,
        "update_every": strategy.update_every,
        "combine": getattr(strategy.flatness, "combine", None),
    }
