"""The contract of aggregators: K task gradients in, one update out."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl import backend
from keras_mtl.component import Component
from keras_mtl.export import keras_mtl_export
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.gradients.jacobian import wide_dtype
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.aggregators.Aggregator")
class Aggregator(Component):
    """Base class of all methods that merge task gradients into one update.

    Subclasses implement `aggregate(jacobian, losses, mask)`. Those whose
    answer is a weighted sum of the rows with weights that follow from the
    K x K Gramian subclass `keras_mtl.aggregators.GramianAggregator` instead.

    State (moving averages, counters) is made of ordinary non-trainable Keras
    weights: create it in `build_state(shapes, dtype)` with `add_state`, and
    assign to it in `aggregate`. `state_reset` sets it back.

    Args:
        **kwargs: Passed on to `keras.layers.Layer`, such as `name`.

    Call arguments:
        jacobian: Task gradients: a tensor `[K, P]`, or a list of tensors
            `[K, *shape]`, one per variable.
        losses: Optional tensor `[K]` of task losses, for methods that use
            them.
        mask: Optional tensor `[K]`: True (or 1) for tasks that are present.
            The answer is the same as if the rows of absent tasks had been
            removed.

    Call returns:
        A tensor `[P]`, or a list of tensors `[*shape]`, like the input. It
        is a constant: no gradient flows through it.

    Example:

    ```python
    aggregator = keras_mtl.aggregators.MGDA()
    update = aggregator([[1.0, 0.0], [0.0, 1.0]])  # [0.5, 0.5]
    ```
    """

    #: The weights of the rows do not depend on the gradients.
    linear = False

    #: Independent parts of a batch that the method wants task gradients of.
    #: With more than one, the training step calls `aggregate_samples`.
    samples = 1

    #: The method uses the task losses: it cannot merge other gradients.
    needs_losses = False

    #: The method keeps averages of the task gradients themselves.
    keeps_rows = False

    #: The smallest number of tasks that the method is defined for.
    min_tasks = 1

    #: The shapes that it was built for.
    built_shapes: tuple[tuple[int, ...], ...] = ()

    def build(
        self,
        shapes: Sequence[tuple[int, ...]],
        dtype: str = "float32",
    ) -> None:
        """Creates the state.

        Args:
            shapes: Shapes `[K, *shape]` of the rows by variable.
            dtype: Dtype of the rows. Defaults to `"float32"`.
        """
        if shapes:
            self.build_state(
                [tuple(shape) for shape in shapes], wide_dtype(dtype)
            )
            self.built_tasks = shapes[0][0]
            self.built_shapes = tuple(tuple(shape) for shape in shapes)
        self.built = True

    def build_state(self, shapes: list[tuple[int, ...]], dtype: str) -> None:
        """Creates the state.

        Args:
            shapes: Shapes `[K, *shape]` of the rows, at least one.
            dtype: The wider of float32 and the dtype of the gradients.
        """

    def aggregate(
        self,
        jacobian: Jacobian,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> list[Tensor]:
        """Returns the update, one tensor per variable.

        Args:
            jacobian: The task gradients: `jacobian.stacks` has one tensor
                `[K, *shape]` per variable, `jacobian.rows` one list per task;
                `jacobian.gramian()` are their inner products `[K, K]`, and
                `jacobian.combine(weights)` is a weighted sum of the rows.
            losses: Optional tensor `[K]` of task losses.
            mask: Optional tensor `[K]`, 1 for present tasks, 0 for absent.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not implement `aggregate`."
        )

    def aggregate_samples(
        self,
        jacobians: Sequence[Jacobian],
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> list[Tensor]:
        """Returns the update from gradients of independent samples.

        Args:
            jacobians: One Jacobian per part of the batch, `samples` in all.
            losses: Optional tensor `[K]` of task losses of the whole batch.
            mask: Optional tensor `[K]`, 1 for tasks present in every part.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not implement `aggregate_samples`."
        )

    def check_samples(self, jacobians: Sequence[Jacobian]) -> None:
        """Raises `ValueError` unless there is one Jacobian per sample."""
        if len(jacobians) != self.samples:
            raise ValueError(
                f"This {type(self).__name__} merges {self.samples} Jacobians, "
                f"one per part of the batch. Received: {len(jacobians)}."
            )

    def __call__(
        self,
        jacobian: Any,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        single = not isinstance(jacobian, (list, tuple))
        if not single and jacobian and isinstance(jacobian[0], (list, tuple)):
            single = True  # a matrix written as nested lists
        if not single and jacobian and not hasattr(jacobian[0], "shape"):
            raise ValueError(
                "Argument `jacobian` must be a matrix `[K, P]` or a list of "
                "tensors `[K, *shape]`. Received: jacobian="
                f"{jacobian}."
            )
        stacks = [jacobian] if single else list(jacobian)
        # Solvers that run on the host have no derivative: none is better than
        # a part of one.
        stacks = [ops.stop_gradient(as_tensor(stack)) for stack in stacks]
        check_stacks(stacks)
        wrapped = Jacobian(stacks=stacks)
        losses = self._as_vector("losses", losses, wrapped)
        mask = self._as_vector("mask", mask, wrapped)
        self.check_tasks(wrapped.num_tasks)
        if not self.built:
            self.build(wrapped.shapes, wrapped.dtype)
        if (
            self.keeps_rows
            and self.built_shapes
            and self.built_shapes != tuple(wrapped.shapes)
        ):
            raise ValueError(
                f"This {type(self).__name__} keeps averages of rows of shapes "
                f"{list(self.built_shapes)}. Received: {wrapped.shapes}. Make "
                "another one for them."
            )
        with backend.full_precision():
            update = self.aggregate(wrapped, losses, mask)
        return update[0] if single else update

    @staticmethod
    def _as_vector(
        argument: str, value: Any, jacobian: Jacobian
    ) -> Tensor | None:
        if value is None:
            return None
        value = ops.stop_gradient(ops.convert_to_tensor(value))
        value = ops.cast(value, jacobian.dtype)
        if tuple(value.shape) != (jacobian.num_tasks,):
            raise ValueError(
                f"Argument `{argument}` must have one entry per task, shape "
                f"({jacobian.num_tasks},). Received: shape "
                f"{tuple(value.shape)}."
            )
        return value

    def set_preference(self, preference: Sequence[float]) -> None:
        """Takes a preference from elsewhere.

        Raises:
            ValueError: If the method has no use for one.
        """
        raise ValueError(f"{type(self).__name__} takes no preference.")

    def sibling(self, index: int) -> "Aggregator":
        """Returns a fresh aggregator of the same settings for another use.

        Args:
            index: Number of the use. Random methods with a fixed `seed` get
                another seed for each, so that their draws are independent.
        """
        config = self.get_config()
        config["name"] = f"{config['name']}_{index}"
        if config.get("seed") is not None:
            config["seed"] = (config["seed"] + 7919 * index) % 2**31
        return type(self).from_config(config)


@keras_mtl_export("keras_mtl.aggregators.GramianAggregator")
class GramianAggregator(Aggregator):
    """Base class of methods that weigh the rows by a function of `J J^T`.

    Subclasses implement `compute_weights(gramian, losses, mask)`.
    """

    def compute_weights(
        self,
        gramian: Tensor,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Returns one weight per task.

        Args:
            gramian: Tensor `[K, K]` of inner products of the task gradients.
            losses: Optional tensor `[K]` of task losses.
            mask: Optional tensor `[K]`, 1 for present tasks, 0 for absent.

        Returns:
            Tensor `[K]`. The weight of an absent task is 0.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not implement `compute_weights`."
        )

    def prepare(
        self, gramian: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Gets ready for `compute_weights`.

        `aggregate` has done so; methods with state call it themselves, for
        calls of `compute_weights` by hand: state is created if there is none.

        Args:
            gramian: Tensor or array `[K, K]`.
            mask: Tensor or array `[K]` of numbers or bools, or `None`.

        Returns:
            The two as tensors, the mask as 1 and 0.
        """
        gramian = ops.stop_gradient(as_tensor(gramian))
        dtype = keras.backend.standardize_dtype(gramian.dtype)
        self.check_tasks(int(gramian.shape[0]))
        if not self.built:
            self.build([tuple(gramian.shape)], dtype)
        return gramian, None if mask is None else ops.cast(mask, dtype)

    def aggregate(
        self,
        jacobian: Jacobian,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> list[Tensor]:
        if not jacobian.num_variables:
            # Nothing to merge, and no state was made for it.
            return []
        return jacobian.combine(self.weigh(jacobian, losses, mask))

    def weigh(
        self,
        jacobian: Jacobian,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Returns the weights `[K]` that `aggregate` gives the rows."""
        gramian, mask = self.prepare(jacobian.gramian(), mask)
        return self.check_weights(
            self.compute_weights(gramian, losses, mask), jacobian.num_tasks
        )


#: What `aggregate` is where it only adds up the rows times `weigh(...)`.
WEIGHTING = [GramianAggregator.aggregate]


def as_tensor(value: Any) -> Tensor:
    """Returns a tensor; a float64 array stays float64 where that exists."""
    # torch would make it float32; JAX warns if it is asked for float64.
    if isinstance(value, np.ndarray) and keras.backend.backend() != "jax":
        return ops.convert_to_tensor(value, dtype=str(value.dtype))
    return ops.convert_to_tensor(value)


def check_stacks(stacks: list[Tensor]) -> None:
    """Raises `ValueError` unless all tensors have the same leading size."""
    if not stacks:
        raise ValueError(
            "Argument `jacobian` is empty: give at least one tensor "
            "`[K, *shape]`."
        )
    for stack in stacks:
        if len(stack.shape) < 1 or stack.shape[0] != stacks[0].shape[0]:
            raise ValueError(
                "All tensors of `jacobian` must have the number of tasks as "
                "their first dimension. Received shapes: "
                f"{[tuple(s.shape) for s in stacks]}."
            )
        if "float" not in keras.backend.standardize_dtype(stack.dtype):
            raise ValueError(
                "Argument `jacobian` must hold floats. Received dtype "
                f"{keras.backend.standardize_dtype(stack.dtype)}."
            )
