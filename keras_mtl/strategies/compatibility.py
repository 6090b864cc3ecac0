"""Which parts of a strategy can work together."""

from typing import Any

from keras_mtl.aggregators import Aggregator
from keras_mtl.aggregators import GramianAggregator


def check_representation(strategy: Any) -> None:
    """Raises `ValueError` where gradients by the trunk's output will not do.

    Args:
        strategy: A `keras_mtl.Strategy` with gradients="representation".
    """
    aggregator = strategy.aggregator
    reason = None
    if not strategy.makes_one_pass:
        reason = (
            f"the flatness regularizer {type(strategy.flatness).__name__} "
            "perturbs along gradients of the weights"
        )
    elif strategy.granularity != "model":
        reason = "`granularity` groups gradients of the weights"
    elif aggregator.keeps_rows:
        reason = (
            f"the aggregator {type(aggregator).__name__} keeps averages "
            "of gradients, which differ with each sample here"
        )
    elif aggregator.samples > 1:
        reason = (
            f"the aggregator {type(aggregator).__name__} compares "
            "gradients of different samples"
        )
    if reason is not None:
        raise ValueError(
            'Argument `gradients` cannot be "representation": '
            f'{reason}. Use gradients="parameters", or other components.'
        )


def check_low_memory(strategy: Any) -> None:
    """Raises `ValueError` where the Gramian alone will not do.

    Args:
        strategy: A `keras_mtl.Strategy` with memory="low".
    """
    aggregator = strategy.aggregator
    reason = None
    if not strategy.makes_one_pass:
        reason = (
            f"the flatness regularizer {type(strategy.flatness).__name__} "
            "needs the gradients of each task"
        )
    elif not aggregator.linear and (
        not isinstance(aggregator, GramianAggregator)
        or type(aggregator).aggregate is not GramianAggregator.aggregate
    ):
        reason = (
            f"the aggregator {type(aggregator).__name__} looks at more than "
            "inner products of the gradients"
        )
    elif strategy.granularity != "model":
        reason = "`granularity` takes a Gramian per group of variables"
    elif strategy.gradients == "representation":
        reason = 'gradients="representation" keeps none of the weights'
    if reason is not None:
        raise ValueError(
            f'Argument `memory` cannot be "low": {reason}. Use '
            'memory="normal", or an aggregator such as MGDA, UPGrad or CAGrad '
            "without more passes."
        )


def check_accumulates(strategy: Any) -> None:
    """Raises `ValueError` where batches cannot be added up.

    Args:
        strategy: A `keras_mtl.Strategy` with accumulate > 1.
    """
    balancer, aggregator = strategy.balancer, strategy.aggregator
    reason = None
    if not strategy.makes_one_pass:
        reason = (
            f"the flatness regularizer {type(strategy.flatness).__name__} "
            "perturbs along the gradient of the whole batch, which is known "
            "after its last part only"
        )
    elif strategy.gradients == "representation":
        reason = 'gradients="representation" differ with each sample'
    elif strategy.memory == "low":
        reason = 'memory="low" keeps no gradients of the tasks'
    elif aggregator.samples > 1:
        reason = (
            f"the aggregator {type(aggregator).__name__} splits batches itself"
        )
    elif strategy.observes or balancer.uses_passes:
        part = balancer if not aggregator.observes else aggregator
        reason = f"{type(part).__name__} learns from the losses of each update"
    if reason is not None:
        raise ValueError(
            f"Argument `accumulate` must be 1 here: {reason}. The optimizer's "
            "`gradient_accumulation_steps` averages updates instead. Received: "
            f"accumulate={strategy.accumulate}"
        )


def check_takes_preference(aggregator: Aggregator) -> None:
    """Raises `ValueError` for an aggregator without room for a preference."""
    if getattr(aggregator, "preference", 0) is not None:
        raise ValueError(
            'With loss_weights="preference" the aggregator must be one '
            "that takes a `preference`, and not have been given one: "
            "UPGrad, DualProj, AlignedMTL, ConFIG, CAGrad or SDMGrad. "
            "Received: "
            f"aggregator={type(aggregator).__name__}."
        )


def check_merges_pairs(aggregator: Aggregator, combine: str) -> None:
    """Raises `ValueError` for an aggregator that cannot merge two parts."""
    if not aggregator.needs_losses and aggregator.min_tasks <= 2:
        return
    lacking = (
        "which have no losses"
        if aggregator.needs_losses
        else f"and the method needs {aggregator.min_tasks}"
    )
    raise ValueError(
        f"With combine={combine!r} the aggregator merges pairs of a loss "
        f"part and a flatness part, {lacking}. Use "
        'combine="decomposed" or "direct", or another aggregator. '
        f"Received: aggregator={type(aggregator).__name__}."
    )
