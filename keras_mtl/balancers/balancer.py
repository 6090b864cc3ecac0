"""The contract of loss balancers: K task losses in, K weights out."""

from typing import Any

from keras import ops

from keras_mtl.aggregators.task_weights import undefined_below
from keras_mtl.component import Component
from keras_mtl.export import keras_mtl_export
from keras_mtl.gradients.jacobian import wide_dtype
from keras_mtl.gradients.passes import ForwardPass
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.balancers.Balancer")
class Balancer(Component):
    """Base class of methods that weigh tasks by their losses.

    A balancer is a scalarisation `S(losses)`; it returns its gradient
    `dS / d losses`, the weights that multiply the task gradients. It never
    looks at gradients. Subclasses implement `compute_weights(losses, mask)`;
    state is made of non-trainable weights created in `build_state` with
    `add_state`; `state_reset` sets it back.

    Args:
        **kwargs: Passed on to `keras.layers.Layer`, such as `name`.

    Call arguments:
        losses: Tensor `[K]` of task losses.
        mask: Optional tensor `[K]`: True (or 1) for tasks that are present.

    Call returns:
        Tensor `[K]` of weights. The weight of an absent task is 0.

    Example:

    ```python
    weights = keras_mtl.balancers.Log()([0.5, 2.0])  # about [2.0, 0.5]
    ```
    """

    #: The weight of a task follows from its own loss alone, without state. A
    #: perturbed pass is then weighed by its perturbed loss.
    elementwise = False

    #: All weights are 1.
    neutral = False

    #: The method needs more than the losses: the strategy calls `learn` with
    #: the forward pass of each step before it asks for weights.
    uses_passes = False

    def build(self, num_tasks: int, dtype: str = "float32") -> None:
        self.build_state(num_tasks, wide_dtype(dtype))
        self.built_tasks = num_tasks
        self.built = True

    def build_state(self, num_tasks: int, dtype: str) -> None:
        """Creates the state.

        Args:
            num_tasks: Number of tasks K.
            dtype: The wider of float32 and the dtype of the losses.
        """

    def compute_weights(
        self, losses: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Returns one weight per task, before absent ones are set to 0."""
        raise NotImplementedError(
            f"{type(self).__name__} does not implement `compute_weights`."
        )

    def lowest_losses(self, dtype: str) -> Any:
        """Returns the smallest losses that the method is defined for.

        The weight of a task with a loss below is NaN, so that `fit` stops
        with an error.

        Args:
            dtype: Dtype of the losses.

        Returns:
            A number, a tensor `[K]`, or `None` if it is defined for all.
        """
        return None

    def learn(self, clean: ForwardPass) -> None:
        """Learns from the forward pass of a step, before `compute_weights`.

        Called by the strategy if `uses_passes` is True.

        Args:
            clean: The pass at the current weights.
        """

    @property
    def data_variables(self) -> list[Any]:
        """Variables that steps read and that are not part of the state."""
        return []

    def set_data(self, arrays: Any) -> None:
        """Takes the `balancer_data` of `fit`.

        Args:
            arrays: What the user gave.

        Raises:
            ValueError: If the method has no use for data.
        """
        raise ValueError(
            f"The balancer {type(self).__name__} takes no data: leave out "
            "`balancer_data`, or use `keras_mtl.balancers.AutoLambda`."
        )

    def __call__(self, losses: Tensor, mask: Tensor | None = None) -> Tensor:
        losses = ops.convert_to_tensor(losses)
        if len(losses.shape) != 1:
            raise ValueError(
                "Argument `losses` must be a vector with one loss per task. "
                f"Received: shape {tuple(losses.shape)}."
            )
        losses = ops.cast(losses, wide_dtype(losses.dtype))
        num_tasks = int(losses.shape[0])
        self.check_tasks(num_tasks)
        if self.built_tasks != num_tasks:
            # Or there is no state: what it was constructed with is checked.
            self.build(num_tasks, wide_dtype(losses.dtype))
        if mask is None:
            weights = self.check_weights(
                self.compute_weights(losses), num_tasks
            )
        else:
            mask = ops.cast(ops.convert_to_tensor(mask), losses.dtype)
            if tuple(mask.shape) != (num_tasks,):
                raise ValueError(
                    "Argument `mask` must have one entry per task, shape "
                    f"({num_tasks},). Received: shape {tuple(mask.shape)}."
                )
            weights = self.check_weights(
                self.compute_weights(losses, mask), num_tasks
            )
            weights = weights * mask
        lowest = self.lowest_losses(losses.dtype)
        if lowest is None:
            return weights
        return undefined_below(lowest, weights, losses, mask)
