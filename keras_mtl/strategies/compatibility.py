"""Which parts of a strategy can work together."""

from typing import Any

from keras_mtl.aggregators import Aggregator


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


def check_takes_preference(aggregator: Aggregator) -> None:
    """Raises `ValueError` for an aggregator without room for a preference."""
    if getattr(aggregator, "preference", 0) is not None:
        raise ValueError(
            'With loss_weights="preference" the aggregator must be one '
            "that takes a `preference`, and not have been given one: "
            "UPGrad, DualProj, AlignedMTL, ConFIG or CAGrad. Received: "
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
