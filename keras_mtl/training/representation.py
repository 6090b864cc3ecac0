"""A forward pass whose task gradients stop at the trunk's output."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl import backend
from keras_mtl.gradients.divided import DividedJacobian
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.gradients.passes import TaskGradients
from keras_mtl.training.passes import FirstPass
from keras_mtl.training.point import Point
from keras_mtl.typing import Tensor


class RepresentationPass(FirstPass):
    """A first pass in two stages: the trunk, and all that comes after it.

    The gradients of K losses by the representation cost K backward passes
    through the heads; one more, through the trunk, takes any weighted sum of
    them to the shared variables.

    Args:
        point: Where it is made.
        split: The network's `TrunkSplit`.
    """

    _pull_trunk: Any
    _pull_heads: Any

    def __init__(self, point: Point, split: Any):
        self._split = split
        super().__init__(point)

    def _linearize(self, trainable: list[Tensor]) -> tuple[list[Tensor], Any]:
        indices = {id(v) for v in self._split.trunk_variables}
        variables = self.partition.variables
        self._in_trunk = [
            i for i, v in enumerate(variables) if id(v) in indices
        ]
        self._behind = [
            i for i, v in enumerate(variables) if id(v) not in indices
        ]
        made, aux, self._pull_trunk = backend.linearize(
            lambda chosen: self._run_trunk(
                _with(trainable, self._in_trunk, chosen)
            ),
            [trainable[i] for i in self._in_trunk],
        )
        state, besides = aux
        features, self._trunk_penalties = made, []
        if self._trunk_is_penalised:
            *features, penalty = made
            self._trunk_penalties = [penalty]
        self._features = list(features)
        count = len(self._features)

        def behind(chosen: list[Tensor]) -> tuple[list[Tensor], Any]:
            point = _with(trainable, self._behind, chosen[count:])
            return self._run_heads(chosen[:count], besides, point, state)

        losses, aux, self._pull_heads = backend.linearize(
            behind, [*self._features, *(trainable[i] for i in self._behind)]
        )
        self._pullback = self._pull_both
        return losses, aux

    def _run_trunk(self, trainable: list[Tensor]) -> tuple[list[Tensor], Any]:
        with self.point.values.scope(trainable) as scope:
            representation, besides = self._split.represent(self.point.batch.x)
            penalties = [
                ops.sum(penalty) for penalty in self._split.trunk_penalties()
            ]
        self._trunk_draws = scope.draws
        self._structure = keras.tree.map_structure(lambda _: 0, representation)
        self._trunk_is_penalised = bool(penalties)
        made = keras.tree.flatten(representation)
        if penalties:
            made = [*made, sum(penalties[1:], penalties[0])]
        return made, (self.point.values.state_after(scope), besides)

    def _run_heads(
        self,
        features: list[Tensor],
        besides: list[Tensor],
        trainable: list[Tensor],
        state: Any,
    ) -> tuple[list[Tensor], Any]:
        representation = keras.tree.pack_sequence_as(self._structure, features)
        with self.point.values.scope(trainable, state) as scope:
            outputs = self._split.predict(representation, besides)
            task_losses, presence = self._losses_of(outputs)
            penalties = [
                *self._trunk_penalties,
                *(ops.sum(p) for p in self._split.head_penalties()),
            ]
        self._note_draws(
            {
                key: self._trunk_draws.get(key, 0) + scope.draws.get(key, 0)
                for key in {*self._trunk_draws, *scope.draws}
            }
        )
        return self._summed_up(
            outputs,
            task_losses,
            presence,
            penalties,
            self.point.values.state_after(scope),
        )

    def _pull_both(
        self,
        cotangents: dict[int, Tensor],
        wanted: Sequence[int],
        last: bool = False,
    ) -> list[Tensor]:
        """The pullback of both stages, by position in the variables."""
        place = {i: len(self._features) + n for n, i in enumerate(self._behind)}
        features = list(range(len(self._features)))
        in_trunk = [i for i in wanted if i not in place]
        behind = [i for i in wanted if i in place]
        pulled = self._pull_heads(
            cotangents,
            [*(features if in_trunk else []), *(place[i] for i in behind)],
            last,
        )
        result: dict[int, Tensor] = {}
        if in_trunk:
            by_feature, pulled = (
                pulled[: len(features)],
                pulled[len(features) :],
            )
            penalty = cotangents.get(len(self.partition.tasks))
            gradients = self._through_trunk(by_feature, penalty, in_trunk, last)
            result.update(zip(in_trunk, gradients, strict=True))
        result.update(zip(behind, pulled, strict=True))
        return [result[i] for i in wanted]

    def _through_trunk(
        self,
        by_feature: list[Tensor],
        penalty: Tensor | None,
        wanted: Sequence[int],
        last: bool,
    ) -> list[Tensor]:
        cotangents = dict(enumerate(by_feature))
        if penalty is not None and self._trunk_is_penalised:
            cotangents[len(by_feature)] = penalty
        position = {i: n for n, i in enumerate(self._in_trunk)}
        return self._pull_trunk(cotangents, [position[i] for i in wanted], last)

    def release(self) -> None:
        super().release()
        self._pull_trunk = self._pull_heads = None

    # ------------------------------------------------------- gradients

    def representation_gradients(self, weights: Tensor) -> TaskGradients:
        """Gradients by the representation, and by the tasks' own variables.

        Args:
            weights: Tensor `[K]` of task weights.
        """
        rows, own = [], []
        count = len(self._features)
        place = {i: count + n for n, i in enumerate(self._behind)}
        for k, indices in enumerate(self.partition.own):
            gradients = self._pull_heads(
                self.seeds({k: weights[k]}),
                [*range(count), *(place[i] for i in indices)],
            )
            rows.append(self.unscaled(gradients[:count]))
            own.append(self.collected(gradients[count:]))
        # Each replica has the features of its part of the batch.
        kind = Jacobian if self.shares is None else DividedJacobian
        return TaskGradients(
            kind(rows=rows, dtype=self.point.values.dtype), own
        )

    def through_trunk(self, by_feature: list[Tensor]) -> list[Tensor]:
        """Takes a gradient by the representation to the shared variables.

        Args:
            by_feature: One tensor per tensor of the representation.
        """
        scaled = self.scaled(dict(enumerate(by_feature)))
        return self.collected(
            self._through_trunk(
                list(scaled.values()), None, self.partition.shared, False
            )
        )


def _with(
    values: list[Tensor], indices: Sequence[int], chosen: list[Tensor]
) -> list[Tensor]:
    """A copy of a list with some of its entries replaced."""
    values = list(values)
    for i, value in zip(indices, chosen, strict=True):
        values[i] = value
    return values
