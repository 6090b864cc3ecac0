"""The first pass of a step, as its kind of update wants it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from keras_mtl.training.gramian_pass import GramianPass
from keras_mtl.training.passes import FirstPass
from keras_mtl.training.point import Point
from keras_mtl.training.representation import RepresentationPass
from keras_mtl.typing import Tensor


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

    def moved(self, offsets: Sequence[Tensor]) -> "Start":
        return dataclasses.replace(self, point=self.point.moved(offsets))

    def values_of(self, task: int | None = None) -> list[Tensor]:
        return self.point.values.values_of(task)

    def perturbs(self, flatness: Any, task: int | None = None) -> list[bool]:
        return self.point.values.perturbs(flatness, task)

    @property
    def num_shared(self) -> int:
        return self.point.values.num_shared
