"""The first pass of a step, as its kind of update wants it."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

from keras_mtl.gradients import passes as asked
from keras_mtl.training.gramian_pass import GramianPass
from keras_mtl.training.passes import FirstPass
from keras_mtl.training.passes import Pass
from keras_mtl.training.point import Point
from keras_mtl.training.representation import RepresentationPass
from keras_mtl.training.task_pass import TaskPass
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable


@dataclasses.dataclass
class Start:
    """Makes the first pass of a step.

    Attributes:
        point: Where it is made.
        split: The network's `TrunkSplit`, or `None` where no variable is
            shared or nobody asks for it.
    """

    point: Point
    split: Any = None

    def forward(self, both_ways: bool = False) -> FirstPass:
        return GramianPass(self.point) if both_ways else FirstPass(self.point)

    def forward_in_halves(self) -> FirstPass:
        if self.split is None:
            return FirstPass(self.point)
        return RepresentationPass(self.point, self.split)

    def moved(self, offsets: Sequence[Tensor | None]) -> "Start":
        return dataclasses.replace(self, point=self.point.moved(offsets))

    def values_of(self, task: int | None = None) -> list[Tensor]:
        return self.point.values.values_of(task)

    def variables_of(self, task: int | None = None) -> list[Variable]:
        return self.point.values.variables_of(task)

    @property
    def num_shared(self) -> int:
        return self.point.values.num_shared


if TYPE_CHECKING:
    # What kinds of update ask for, held against what they are given: a
    # checker of types fails where a method is missing, or differs.
    def _as_asked_for(
        point: Point, split: Any, task_pass: TaskPass
    ) -> list[object]:
        start: asked.Start = Start(point)
        every: asked.ForwardPass = Pass(point)
        first: asked.ForwardPass = FirstPass(point)
        both_ways: asked.BothWaysPass = GramianPass(point)
        halves: asked.HalvesPass = RepresentationPass(point, split)
        single: asked.SingleTaskPass = task_pass
        return [start, every, first, both_ways, halves, single]
