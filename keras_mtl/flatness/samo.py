"""Sharpness-aware multi-task optimization."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl import backend
from keras_mtl.arguments import checked_number
from keras_mtl.export import keras_mtl_export
from keras_mtl.flatness.flatness import Flatness
from keras_mtl.flatness.flatness import Radius
from keras_mtl.flatness.parts import Parts
from keras_mtl.flatness.scaled_to_radius import NORM_EPSILON
from keras_mtl.gradients.kind import UpdateKind
from keras_mtl.gradients.passes import ForwardPass
from keras_mtl.gradients.passes import Update
from keras_mtl.gradients.passes import finite_tasks
from keras_mtl.seeded import next_seed
from keras_mtl.solvers.random_numbers import random_normal
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.flatness.SAMO")
class SAMO(Flatness):
    """Joint perturbation, bent to each task by losses at random points.

    Each task moves the shared weights along a mix of the gradient `g_0` of
    all losses and an estimate `e_k` of its own gradient, for which its loss is
    looked at on both sides of the weights along a random direction `z`:

        e_k = (loss_k(theta + mu z) - loss_k(theta - mu z)) / (2 mu) z
        d_k = alpha g_0 + (1 - alpha) e_k,  e_k rescaled to ||g_0|| by variable
        eps_k = rho d_k / ||d_k||

    and its own weights along their gradient. The aggregator merges the
    gradients taken there. A step costs a forward and a backward pass, two
    forward passes per task for the estimates (two in all with
    `shared_direction`), and a forward and a backward pass per task.

    What to expect: an estimate from one random direction is nearly at right
    angles to the gradient where there are many weights, and after the
    rescaling only the sign of the difference is left of it. So `e_k` is
    little more than a random direction with the sign that raises the loss of
    the task. Compare with `keras_mtl.flatness.GlobalSAM`, which is `alpha=1`
    at the cost of one perturbed pass.

    Args:
        rho: Radius: a non-negative float or a `LearningRateSchedule`.
            Defaults to `0.001`, as in the released scripts.
        alpha: Share of the joint gradient, in [0, 1]. Defaults to `0.5`.
        mu: Length of the random steps, per weight, positive. Defaults to
            `0.01`.
        shared_direction: Whether all tasks use the same random direction, so
            that two forward passes serve them all. This library's own;
            defaults to `False`.
        seed: Optional integer, to draw the same directions in every run.
            Defaults to `None`, a random seed.
        variables: Which variables are perturbed: `None`, `"all"`,
            `"normalization"` or a function. Defaults to `None` (all).
        **kwargs (Any): Passed on to `keras.layers.Layer`, such as `name`.

    Raises:
        ValueError: If an argument is outside its range.

    State:
        The seed and the number of draws.

    Example:

    ```python
    strategy = keras_mtl.Strategy(
        flatness=keras_mtl.flatness.SAMO(rho=0.001, shared_direction=True),
        aggregator="fairgrad",
    )
    ```

    Reference:

    - [Ban et al., 2025](https://arxiv.org/abs/2507.07883), algorithm 1, as in
        the released code, with these differences: the weights are always
        restored before the update (one script forgets to); the rescaling is
        always there (one script has it commented out); own weights always
        move by `rho` (one script adds their raw gradient); and the estimates
        see the model in training mode with the step's own dropout masks,
        where the scripts run a copy in evaluation mode.
    """

    fixed_arguments = (
        "head_rho",
        "norm",
        "adaptive",
        "combine",
        "interval",
        "reuse",
        "scaling",
        "random_numbers",
    )

    def __init__(
        self,
        rho: Radius = 0.001,
        alpha: float = 0.5,
        mu: float = 0.01,
        shared_direction: bool = False,
        seed: int | None = None,
        variables: str | Callable[[keras.Variable], bool] | None = None,
        **kwargs: Any,
    ):
        self.check_not_fixed(kwargs)
        super().__init__(
            rho=rho, variables=variables, combine="direct", **kwargs
        )
        self.alpha = checked_number("alpha", alpha, "[0, 1]")
        self.mu = checked_number("mu", mu, "(0, inf)")
        self.shared_direction = bool(shared_direction)
        self.add_seed(seed)

    def make_kind(self, parts: Parts) -> UpdateKind:
        return Probing(self, parts)

    def directions(
        self, clean: ForwardPass, gradient: list[Tensor]
    ) -> Callable[[int], list[Tensor]]:
        """Looks at the losses around, and returns where the tasks go.

        Args:
            clean: The pass at the current weights.
            gradient: Gradient of all losses by the shared variables.

        Returns:
            Function from the index of a task to one tensor per shared
            variable.
        """
        values = clean.values_of()
        selected = self.selected(clean.variables_of())[: len(gradient)]
        if self.shared_direction:
            draw = self._draw(values, selected)
            steps = self._both_ways(draw, len(values))
            above, below = (clean.losses_near(step) for step in steps)
            differences = above - below

            def signed(k: int) -> tuple[list[Tensor | None], Tensor]:
                return draw, differences[k]
        else:

            def signed(k: int) -> tuple[list[Tensor | None], Tensor]:
                draw = self._draw(values, selected)
                steps = self._both_ways(draw, len(clean.values_of(k)))
                # Through the task's own head only.
                above, below = (clean.near(step, k).losses for step in steps)
                return draw, (above - below)[0]

        def direction(k: int) -> list[Tensor]:
            draw, difference = signed(k)
            sign = ops.sign(difference)
            return [
                joint
                if probe is None
                else self._mix(joint, ops.cast(sign, joint.dtype), probe)
                for joint, probe in zip(gradient, draw, strict=True)
            ]

        return direction

    def _draw(
        self, values: Sequence[Tensor], selected: Sequence[bool]
    ) -> list[Tensor | None]:
        """A random direction, one tensor per shared variable."""
        seed = next_seed(self.seed_generator)
        draw: list[Tensor | None] = []
        start = 0
        for value, chosen in zip(values, selected, strict=False):
            if not chosen:
                draw.append(None)
                continue
            shape = tuple(value.shape)
            size = 1
            for length in shape:
                size *= length
            numbers = random_normal(ops, seed, size, "float32", start)
            start += size
            draw.append(ops.cast(ops.reshape(numbers, shape), value.dtype))
        return draw

    def _both_ways(
        self, draw: list[Tensor | None], num_variables: int
    ) -> list[list[Tensor | None]]:
        """Offsets of as many variables: along the direction and against it."""
        rest = [None] * (num_variables - len(draw))
        return [
            [
                *(None if probe is None else length * probe for probe in draw),
                *rest,
            ]
            for length in (self.mu, -self.mu)
        ]

    def _mix(self, joint: Tensor, sign: Tensor, probe: Tensor) -> Tensor:
        """`alpha g_0 + (1 - alpha) e_k` of one variable."""

        def norm(tensor: Tensor) -> Tensor:
            square = backend.squared_norm([ops.cast(tensor, "float32")])
            return ops.cast(ops.sqrt(square), tensor.dtype)

        # The size of the difference cancels in the rescaled estimate.
        scale = sign * norm(joint) / (norm(probe) + NORM_EPSILON)
        return self.alpha * joint + (1.0 - self.alpha) * scale * probe

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "mu": self.mu,
            "shared_direction": self.shared_direction,
            "seed": self.seed,
        }


class Probing(UpdateKind):
    """Gradients at points in directions that losses around the weights gave.

    Args:
        flatness: The `SAMO`.
        parts: The other parts of the strategy.
    """

    looks_by_task = True

    def __init__(self, flatness: SAMO, parts: Parts):
        self.flatness = flatness
        self.parts = parts

    def __call__(self, clean: ForwardPass, weights: Tensor) -> Update:
        parts = self.parts
        near = parts.near(self.flatness, clean, weights)
        total = clean.total(weights, weights, penalties=False, last=True)
        direction = self.flatness.directions(clean, total.shared)
        sharp, losses = near.along(direction, total.own)
        finite = ops.logical_and(
            total.finite, finite_tasks(losses, sharp.shared)
        )
        shared = parts.merge(sharp.shared, clean.losses, clean.mask)
        return Update(shared, sharp.own, finite)
