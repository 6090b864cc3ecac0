"""Task weights learned on data of their own."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl import backend
from keras_mtl.arguments import as_list
from keras_mtl.arguments import check_size
from keras_mtl.arguments import checked_integer
from keras_mtl.arguments import checked_number
from keras_mtl.arguments import checked_preference
from keras_mtl.balancers.balancer import Balancer
from keras_mtl.export import keras_mtl_export
from keras_mtl.seeded import next_seed
from keras_mtl.solvers.adam import adam_state
from keras_mtl.solvers.adam import adam_update
from keras_mtl.solvers.random_numbers import random_uniform
from keras_mtl.typing import Tensor

#: Length of the steps that differentiate the losses, as in published code.
STEP_LENGTH = 0.01


class DataOnDevice:
    """Arrays that training steps draw batches from.

    They are variables, so that a compiled step takes them as arguments, but
    of no layer: they are no part of a saved model.

    Args:
        arrays: Inputs, labels and sample weights or `None`, each an array or
            a structure of arrays with the samples first.
    """

    def __init__(self, arrays: Any):
        tensors = [
            None if leaf is None else ops.convert_to_tensor(leaf)
            for leaf in keras.tree.flatten(arrays)
        ]
        sizes = {int(t.shape[0]) for t in tensors if t is not None}
        if len(sizes) != 1 or not min(sizes):
            raise ValueError(
                "`balancer_data` must be a tuple (x, y) or (x, y, "
                "sample_weight) of arrays, or structures of arrays, with the "
                f"same number of samples, at least 1. Received: {sorted(sizes)}"
                " samples."
            )
        self.size = sizes.pop()
        self._structure = keras.tree.map_structure(lambda _: 0, arrays)
        self._arrays = [
            None
            if tensor is None
            else keras.Variable(
                tensor,
                trainable=False,
                dtype=keras.backend.standardize_dtype(tensor.dtype),
                name=f"balancer_data_{number}",
            )
            for number, tensor in enumerate(tensors)
        ]

    @property
    def variables(self) -> list[keras.Variable]:
        """The arrays that there are."""
        return [array for array in self._arrays if array is not None]

    def batch(self, indices: Any) -> Any:
        """Returns samples in the structure of the arrays."""
        leaves = [
            None
            if array is None
            else ops.take(ops.convert_to_tensor(array), indices, axis=0)
            for array in self._arrays
        ]
        return keras.tree.pack_sequence_as(self._structure, leaves)


@keras_mtl_export("keras_mtl.balancers.AutoLambda")
class AutoLambda(Balancer):
    """Learns the weights that serve the losses on other data best.

    The weights of the training losses are chosen so that a step with them
    lowers the losses on held-out data: tasks that do not help the tasks of
    interest lose their weight. For a few primary tasks among auxiliary ones.

    `w = argmin_w sum_k p_k L_k(theta - a grad sum_j w_j l_j(theta))`, with
    training losses `l` and losses `L` on a held-out batch

    Each step takes one step of Adam for `w`. Its gradient
    `-a <grad l_k(theta), grad sum_j p_j L_j(theta')>` is found by two forward
    passes at small steps to both sides, so that a step costs, on top of a
    plain one, a backward pass, a forward and a backward pass on the held-out
    batch, and two forward passes. Negative weights are not used: they count
    as 0.

    The held-out data is given to `fit`:

    ```python
    model.compile("adam", loss=losses, strategy=AutoLambda())
    model.fit(x, y, balancer_data=(x_held_out, y_held_out))
    ```

    Arrays that fit on the device; each step draws a random batch of them.
    They are not saved with the model: give them to `fit` again after loading.

    Args:
        primary_weights: One non-negative number per task: how much its loss
            counts on the held-out data, 0 for tasks that are there to help.
            Defaults to `None`, 1 for all.
        initial_weight: Weight of each task at the start. Defaults to `0.1`.
        learning_rate: Step size for the weights. Defaults to `1e-4`.
        step_size: The length `a` of the step that is looked ahead, relative
            to the gradient. The published code takes the learning rate of
            the model. Adam makes its scale immaterial but for its effect on
            `theta'`. Defaults to `0.01`.
        batch_size: Size of the held-out batches; all the data if that is
            less. Defaults to `32`.
        seed: Optional integer, to draw the same batches in every run.
            Defaults to `None`, a random seed.
        **kwargs: Passed on to `keras_mtl.balancers.Balancer`.

    Raises:
        ValueError: If an argument is out of range, or, in `fit`, if there is
            no held-out data.

    State:
        The weights, the two moments of Adam and the steps of each task, the
        seed and the number of draws.

    Reference:

    - [Liu et al., 2022](https://arxiv.org/abs/2202.03091), equations 4 to 7.
    """

    #: The strategy shows it the pass of each step before it asks for weights.
    uses_passes = True

    def __init__(
        self,
        primary_weights: Sequence[float] | None = None,
        initial_weight: float = 0.1,
        learning_rate: float = 1e-4,
        step_size: float = 0.01,
        batch_size: int = 32,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.primary_weights = checked_preference(
            "primary_weights", primary_weights
        )
        self.initial_weight = checked_number("initial_weight", initial_weight)
        self.learning_rate = checked_number("learning_rate", learning_rate)
        self.step_size = checked_number("step_size", step_size)
        self.batch_size = checked_integer("batch_size", batch_size)
        self.add_seed(seed)
        self.data: DataOnDevice | None = None

    def set_data(self, arrays: Any) -> None:
        """Replaces the held-out data.

        Args:
            arrays: Tuple of inputs, labels and, optionally, sample weights.

        Raises:
            ValueError: If it is no such tuple, or the numbers of samples
                differ.
        """
        if not isinstance(arrays, (tuple, list)) or len(arrays) not in (2, 3):
            raise ValueError(
                "`balancer_data` must be a tuple (x, y) or (x, y, "
                f"sample_weight). Received: {type(arrays).__name__}."
            )
        self.data = DataOnDevice((*arrays, None)[:3])

    @property
    def data_variables(self) -> list[Any]:
        return [] if self.data is None else self.data.variables

    def build_state(self, num_tasks: int, dtype: str) -> None:
        check_size("primary_weights", self.primary_weights, num_tasks)
        self.state = adam_state(
            self, "task_weights", (num_tasks,), dtype, self.initial_weight
        )

    @property
    def task_weights(self) -> keras.Variable:
        """The learned weights, one per task; negative ones count as 0."""
        return self.state[0]

    def compute_weights(
        self, losses: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        weights = ops.convert_to_tensor(self.task_weights)
        # `ops.maximum` of float64 is float32 on torch.
        return ops.cast(ops.where(weights > 0, weights, 0.0), losses.dtype)

    def learn(self, clean: Any) -> None:
        """Updates the weights by what a step with them does elsewhere.

        Args:
            clean: The forward pass of the step, on the training batch.
        """
        if self.data is None:
            raise ValueError(
                "AutoLambda learns from held-out data: pass "
                "`balancer_data=(x, y)` to `fit`."
            )
        values = ops.convert_to_tensor(self.task_weights)
        weights = self(clean.losses, clean.mask)
        ahead = clean.total(weights, weights, penalties=False)
        count = min(self.batch_size, self.data.size)
        seed = next_seed(self.seed_generator)
        draws = random_uniform(ops, seed, count, "float32")
        indices = ops.cast(draws * self.data.size, "int32")
        elsewhere = clean.on(
            *self.data.batch(ops.minimum(indices, self.data.size - 1)),
            [-self.step_size * gradient for gradient in ahead.in_order()],
        )
        primary = ops.ones_like(elsewhere.losses)
        if self.primary_weights is not None:
            primary = ops.convert_to_tensor(
                self.primary_weights, dtype=primary.dtype
            )
        direction = elsewhere.total(
            primary, primary, penalties=False, last=True
        ).in_order()
        norm = ops.sqrt(
            backend.squared_norm(
                [ops.cast(part, values.dtype) for part in direction]
            )
        )
        length = STEP_LENGTH / ops.where(norm > 0, norm, 1.0)
        offsets = [ops.cast(length, part.dtype) * part for part in direction]
        rise = clean.losses_near(offsets) - clean.losses_near(
            [-offset for offset in offsets]
        )
        # <grad l_k, direction>, what a larger w_k takes off the losses there.
        slope = ops.cast(rise, values.dtype) / (2.0 * length)
        gradient = -self.step_size * slope
        gradient = ops.where(ops.isfinite(gradient), gradient, 0.0)
        adam_update(self.state, gradient, self.learning_rate, mask=clean.mask)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "primary_weights": as_list(self.primary_weights),
            "initial_weight": self.initial_weight,
            "learning_rate": self.learning_rate,
            "step_size": self.step_size,
            "batch_size": self.batch_size,
            "seed": self.seed,
        }
