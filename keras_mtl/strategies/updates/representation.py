"""Updates by gradients by the output of the trunk."""

from typing import cast

from keras import ops

from keras_mtl.gradients.kind import UpdateKind
from keras_mtl.gradients.passes import ForwardPass
from keras_mtl.gradients.passes import HalvesPass
from keras_mtl.gradients.passes import Start
from keras_mtl.gradients.passes import Update
from keras_mtl.gradients.passes import finite_tasks
from keras_mtl.strategies.sharing import Sharing
from keras_mtl.strategies.updates.merge import Merge
from keras_mtl.typing import Tensor


class Representation(UpdateKind):
    """K gradients by what the trunk hands on, merged and taken through it.

    One backward pass through the trunk for any number of tasks.

    Args:
        merge: Merges them.
    """

    in_halves = True

    def __init__(self, merge: Merge):
        self.merge = merge

    def start(self, start: Start) -> ForwardPass:
        return start.forward_in_halves()

    def __call__(self, clean: ForwardPass, weights: Tensor) -> Update:
        of_variables = self.merge.sharing
        if not of_variables.patterns:
            # Nothing is shared.
            return clean.total(weights, weights, last=True)
        halves = cast(HalvesPass, clean)
        gradients = halves.representation_gradients(weights)
        rows = gradients.shared
        of_features = Sharing.of_all(rows.num_tasks, rows.num_variables)
        switches = of_variables.switches(clean.mask)
        alone = None
        if switches is not None and not of_variables.is_full:
            # Of variables that one present task reaches, by whatever feature.
            alone = halves.through_trunk(rows.combine(clean.mask))
        shared = halves.through_trunk(self.merge(rows, clean, of_features))
        if alone is not None and switches is not None:
            shared = [
                ops.where(switch, together, by_one)
                for switch, together, by_one in zip(
                    switches, shared, alone, strict=True
                )
            ]
        finite = finite_tasks(clean.losses, rows)
        return Update(shared, gradients.own, finite)

    def plain(self, clean: ForwardPass, ones: Tensor) -> Update | None:
        if not self.merge.sharing.patterns:
            return clean.total(ones, ones, penalties=False)
        halves = cast(HalvesPass, clean)
        gradients = halves.representation_gradients(ones)
        shared = halves.through_trunk(gradients.shared.combine(ones))
        return Update(shared, gradients.own, True)
