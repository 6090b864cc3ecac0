"""Sharpness-aware minimization along the momentum, at no extra cost."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_mtl.arguments import checked_number
from keras_mtl.export import keras_mtl_export
from keras_mtl.flatness.flatness import Flatness
from keras_mtl.flatness.flatness import Radius
from keras_mtl.flatness.parts import Parts
from keras_mtl.gradients.kind import UpdateKind
from keras_mtl.gradients.passes import ForwardPass
from keras_mtl.gradients.passes import Start
from keras_mtl.gradients.passes import Update
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.flatness.MomentumSAM")
class MomentumSAM(Flatness):
    """Makes the step at the weights moved against the last directions.

    The update that was found at

        theta - rho v / ||v||, with v = momentum v + update

    is applied to `theta`. The momentum `v` of the updates is known before the
    step, so its only forward pass is made at the moved weights: flatness for
    the price of a plain step and one copy of the weights. All tasks share the
    point. The losses that are reported, and BatchNormalization's moving
    statistics, are those of the moved weights.

    Args:
        rho: Radius: a non-negative float or a `LearningRateSchedule`.
            Defaults to `0.05`. The paper's radii are larger than those of
            SAM, up to 3.
        momentum: Factor by which older updates fade, in [0, 1). Defaults to
            `0.9`.
        norm: `"joint"` scales all weights together to `rho`; `"separate"`
            scales the shared weights and all own weights apart. Defaults to
            `"joint"`.
        adaptive: Whether the radius is relative to the weights (ASAM).
            Defaults to `False`.
        variables: Which variables are perturbed: `None`, `"all"`,
            `"normalization"` or a function. Defaults to `None` (all).
        **kwargs (Any): Passed on to `keras.layers.Layer`, such as `name`.

    Raises:
        ValueError: If an argument is outside its range.

    State:
        The momentum: one tensor per variable.

    Example:

    ```python
    strategy = keras_mtl.Strategy(
        flatness=keras_mtl.flatness.MomentumSAM(rho=0.3), aggregator="cagrad"
    )
    ```

    Reference:

    - [Becker et al., 2024](https://arxiv.org/abs/2401.12033), algorithm 1.
        There the momentum is that of the optimizer; here it is one of its
        own, so that every optimizer will do.
    """

    makes_passes = False

    fixed_arguments = (
        "head_rho",
        "combine",
        "interval",
        "reuse",
        "scaling",
        "random_numbers",
    )

    def __init__(
        self,
        rho: Radius = 0.05,
        momentum: float = 0.9,
        norm: str = "joint",
        adaptive: bool = False,
        variables: str | Callable[[keras.Variable], bool] | None = None,
        **kwargs: Any,
    ):
        self.check_not_fixed(kwargs)
        super().__init__(
            rho=rho,
            norm=norm,
            adaptive=adaptive,
            variables=variables,
            combine="direct",
            **kwargs,
        )
        self.momentum = checked_number("momentum", momentum, "[0, 1)")
        self.velocities: list[keras.Variable] = []

    def build_state(self, shapes: list[tuple[int, ...]], dtype: str) -> None:
        self.velocities = [
            self.add_state(f"velocity_{index}", shape, dtype)
            for index, shape in enumerate(shapes)
        ]

    def make_kind(self, parts: Parts) -> UpdateKind:
        return AtMomentum(self, parts)

    @property
    def keeps_own(self) -> bool:
        return True

    def directions(self) -> list[Tensor]:
        """One tensor per variable: against the momentum."""
        return [
            -ops.convert_to_tensor(velocity) for velocity in self.velocities
        ]

    def accumulate(self, shared: list[Tensor], own: list[list[Tensor]]) -> None:
        """Adds an update to the momentum.

        Args:
            shared: One tensor per shared variable.
            own: For each task, one tensor per own variable.
        """
        updates = [*shared, *(update for task in own for update in task)]
        for velocity, update in zip(self.velocities, updates, strict=True):
            velocity.assign(
                self.momentum * ops.convert_to_tensor(velocity)
                + ops.cast(update, velocity.dtype)
            )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum}


class AtMomentum(UpdateKind):
    """The step of another kind, made at weights moved against the momentum.

    Args:
        flatness: The `MomentumSAM`.
        parts: The other parts of the strategy.
    """

    def __init__(self, flatness: MomentumSAM, parts: Parts):
        self.flatness = flatness
        self.parts = parts

    def start(self, start: Start) -> ForwardPass:
        offsets = self.flatness.perturb(
            start.values_of(),
            self.flatness.directions(),
            self.flatness.selected(start.variables_of()),
            start.num_shared,
            self.parts.iterations(),
        )
        return self.at_weights.start(start.moved(offsets))

    def __call__(self, clean: ForwardPass, weights: Tensor) -> Update:
        update = self.at_weights(clean, weights)
        self.flatness.accumulate(update.shared, update.own)
        return update

    @property
    def at_weights(self) -> UpdateKind:
        return self.parts.at_one_point
