"""Which kind of update a strategy has."""

from typing import Any

from keras import ops

from keras_mtl.flatness.parts import Join
from keras_mtl.flatness.parts import Parts
from keras_mtl.gradients.kind import UpdateKind
from keras_mtl.strategies.chosen_variables import REPRESENTATION
from keras_mtl.strategies.updates.gramian_first import GramianFirst
from keras_mtl.strategies.updates.gramian_sources import GramianSource
from keras_mtl.strategies.updates.gramian_sources import OfRepresentation
from keras_mtl.strategies.updates.gramian_sources import OfVariables
from keras_mtl.strategies.updates.gramian_sources import RowByRow
from keras_mtl.strategies.updates.independent_samples import IndependentSamples
from keras_mtl.strategies.updates.joins import Decomposed
from keras_mtl.strategies.updates.joins import Direct
from keras_mtl.strategies.updates.joins import Each
from keras_mtl.strategies.updates.joins import Reused
from keras_mtl.strategies.updates.joins import Second
from keras_mtl.strategies.updates.merge import Merge
from keras_mtl.strategies.updates.representation import Representation
from keras_mtl.strategies.updates.row_weights import EveryNth
from keras_mtl.strategies.updates.row_weights import EveryStep
from keras_mtl.strategies.updates.rows import Rows
from keras_mtl.strategies.updates.weighted_sum import WeightedSum
from keras_mtl.typing import Tensor


def choose_kind(strategy: Any) -> UpdateKind:
    """Returns the kind of update that the arguments of a strategy ask for.

    Args:
        strategy: A `keras_mtl.Strategy`, not yet built.
    """
    merge = Merge(strategy.merger, strategy.sharing, strategy.recorder)
    at_one_point = _at_one_point(strategy, merge)
    flatness = strategy.flatness
    if flatness is None:
        return at_one_point
    join = _choose_join(strategy, merge)
    return flatness.make_kind(
        Parts(
            strategy.balancer,
            at_one_point,
            join,
            merge.without_record,
            strategy.recorder,
            strategy.sharing,
            lambda: ops.convert_to_tensor(strategy.iterations),
        )
    )


def _at_one_point(strategy: Any, merge: Merge) -> UpdateKind:
    """What is made of the losses and gradients of one pass."""
    aggregator = strategy.aggregator
    if strategy.accumulation is not None:
        return Rows(merge)
    if aggregator.samples > 1 and strategy.makes_one_pass:
        return IndependentSamples(merge)
    if aggregator.linear:
        return WeightedSum(merge)
    source = _gramian_source(strategy)
    if source is not None:
        return GramianFirst(merge, source, _row_weights(strategy))
    if strategy.gradients == "representation":
        return Representation(merge)
    return Rows(merge)


def _gramian_source(strategy: Any) -> GramianSource | None:
    """What the Gramian is taken of, if it comes first."""
    if strategy.memory == "low":
        return RowByRow()
    asked = strategy.chosen.asked
    if asked is None and strategy.update_every == 1:
        return None
    if REPRESENTATION in (asked, strategy.gradients):
        return OfRepresentation()
    return OfVariables(strategy.chosen)


def _row_weights(strategy: Any) -> EveryStep:
    """When the weights of rows are computed."""
    if strategy.update_every == 1:
        return EveryStep(strategy.aggregator)
    return EveryNth(
        strategy.aggregator,
        lambda: strategy.last_row_weights,
        lambda: ops.equal(
            ops.convert_to_tensor(strategy.iterations) % strategy.update_every,
            0,
        ),
    )


def _choose_join(strategy: Any, merge: Merge) -> Join:
    """How clean and perturbed gradients are merged."""
    flatness, combine = strategy.flatness, strategy.flatness.combine
    # With weights that do not depend on the gradients, the sum of both parts
    # is what the perturbed gradients give.
    linear = strategy.aggregator.linear
    if combine == "direct" or (linear and not flatness.reuse):
        return Direct(merge)
    if combine == "each":
        return Each(merge, strategy.pair_aggregators)
    flat = Merge(
        strategy.flat_aggregator or strategy.merger,
        strategy.sharing,
        strategy.recorder,
    )
    if combine == "second":
        return Second(merge, flat, strategy.outer_aggregator)
    if flatness.reuse:

        def is_due() -> Tensor:
            return flatness.is_due(ops.convert_to_tensor(strategy.iterations))

        return Reused(
            merge, flat, strategy.flat_parts, strategy.own_flat_parts, is_due
        )
    return Decomposed(merge, flat)
