"""Sharpness-aware minimization of the summed loss."""

from typing import Any

from keras import ops

from keras_mtl.export import keras_mtl_export
from keras_mtl.flatness.flatness import Flatness
from keras_mtl.flatness.parts import Parts
from keras_mtl.flatness.perturbed import Perturbed
from keras_mtl.flatness.points import Nearby
from keras_mtl.gradients.kind import UpdateKind
from keras_mtl.gradients.passes import ForwardPass
from keras_mtl.gradients.passes import TaskGradients
from keras_mtl.gradients.passes import Update
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.flatness.GlobalSAM")
class GlobalSAM(Flatness):
    """Moves the weights to one worst case, that of the summed loss.

    All tasks share one perturbed point `theta + rho g / ||g||` with `g` the
    gradient of the sum of the task losses, so that one perturbed forward pass
    serves them all: the cheap relative of
    `keras_mtl.flatness.TaskSAM`. With equal weighting this is plain SAM.

    Args:
        rho (float | LearningRateSchedule): Radius, not negative. Defaults to
            `0.05`.
        head_rho (float | LearningRateSchedule | None): Radius for the tasks'
            own weights, with `norm="separate"`. Defaults to `None`, which
            means `rho`.
        norm (str): `"joint"` scales all weights together to `rho`; `"separate"`
            scales the shared weights and all own weights apart. Defaults to
            `"joint"`, as in SAM.
        **kwargs (Any): `adaptive`, `combine`, `interval`, `reuse`,
            `variables` and `random_numbers` as for
            `keras_mtl.flatness.Flatness`, but that `combine` is `"direct"` by
            default. The rest, such as `name`, is passed on to
            `keras.layers.Layer`.

    Raises:
        ValueError: If an argument is outside its range.

    Example:

    ```python
    strategy = keras_mtl.Strategy(
        flatness=keras_mtl.flatness.GlobalSAM(rho=0.05), aggregator="sum"
    )
    ```

    Reference:

    - [Foret et al., 2021](https://arxiv.org/abs/2010.01412), equation 2.
    """

    def __init__(
        self,
        rho: Any = 0.05,
        head_rho: Any = None,
        norm: str = "joint",
        **kwargs: Any,
    ):
        kwargs.setdefault("combine", "direct")
        if kwargs.get("scaling") is not None:
            raise ValueError(
                "`scaling` gives each task a radius of its own, and all tasks "
                "of GlobalSAM share one point: use TaskSAM or leave it out."
            )
        super().__init__(rho=rho, head_rho=head_rho, norm=norm, **kwargs)

    def make_kind(self, parts: Parts) -> UpdateKind:
        if self.interval == 1 and parts.join.takes_sharp_alone:
            return AtOnePoint(self, parts)
        return Perturbed(self, parts, by_task=False)

    def gradients_near(
        self, near: Nearby, gradients: TaskGradients
    ) -> tuple[TaskGradients, Tensor]:
        return near.global_gradients(gradients)


class AtOnePoint(UpdateKind):
    """The worst case of the summed loss, and the gradients there alone.

    Args:
        flatness: The `GlobalSAM`.
        parts: The other parts of the strategy.
    """

    def __init__(self, flatness: GlobalSAM, parts: Parts):
        self.flatness = flatness
        self.parts = parts

    def __call__(self, clean: ForwardPass, weights: Tensor) -> Update:
        parts = self.parts
        near = parts.near(self.flatness, clean, weights)
        total = clean.total(weights, weights, penalties=False, last=True)
        point = near.of_all_tasks(total.shared, total.own)
        update = parts.at_one_point(point, near.weights_at(point.losses))
        update.finite = ops.logical_and(total.finite, update.finite)
        return update
