"""What the backends have in common: their contract, and its defaults.

A backend is the names of `__all__` here and in the other modules `common_*`.
The modules of a framework define what differs there, under the same names. What
raises `NotImplementedError` here each of them defines.
"""

import contextlib
from collections.abc import Callable
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING
from typing import Any
from typing import TypeAlias
from typing import TypeVar

import keras
from keras import ops

from keras_mtl.typing import LossFunction
from keras_mtl.typing import Pullback
from keras_mtl.typing import Pushforward
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable

__all__ = [
    "RandomReplay",
    "TrainStepFrame",
    "after",
    "as_assigned",
    "assign",
    "build_scope",
    "check_devices",
    "check_stranger",
    "commit",
    "compile_function",
    "computed_once",
    "differentiable",
    "divided_loss",
    "end_of_pass",
    "forward_precision",
    "full_precision",
    "global_random_state",
    "hessian_product",
    "keep_compiled",
    "linearize",
    "linearize_both_ways",
    "num_replicas",
    "reached_variables",
    "set_global_random_state",
    "sum_over_replicas",
    "supports_jit_compile",
    "synchronize",
    "to_host",
    "undivided_loss",
    "while_loop",
]

# What the frame of a step is mixed into. It has no base at run time, where
# `super()` finds Keras's trainer all the same.
if TYPE_CHECKING:
    Trainer: TypeAlias = keras.Model
else:
    Trainer = object

Result = TypeVar("Result")

#: Whether `jit_compile=True` means anything.
supports_jit_compile = True

#: `keras.ops.while_loop`: a loop that stays on the device in every graph.
while_loop = ops.while_loop


# Gradients.


def linearize(
    function: LossFunction, values: list[Tensor]
) -> tuple[list[Tensor], Any, Pullback]:
    """Runs `function` once and returns how to pull gradients back.

    Args:
        function: Maps a list of tensors to `(losses, aux)` with a list of
            scalar losses.
        values: List of tensors to differentiate with respect to.

    Returns:
        `(losses, aux, pullback)`. `pullback(cotangents, wanted, last)` takes
        a dict `{index of a loss: scalar}` and a list of indices into `values`
        and returns the gradients of the sum of losses with these weights.
        With `last`, it is not called again.
    """
    raise NotImplementedError


def linearize_both_ways(
    function: LossFunction, values: list[Tensor]
) -> tuple[list[Tensor], Any, Pullback, Pushforward]:
    """Like `linearize`, with slopes along directions too.

    Returns:
        `(losses, aux, pullback, pushforward)`. `pushforward(tangents)` takes
        a dict `{index of a value: tensor}` and returns a tensor of the slopes
        of all losses along that direction.
    """
    raise NotImplementedError


def differentiable(function: Callable[[], Result]) -> Result:
    """Calls a function in which gradients can be taken, say by inputs.

    Args:
        function: Returns a structure of tensors. Where gradients are off,
            these are cut off from the graph that was made of them.
    """
    return function()


def reached_variables(
    function: Callable[[list[Tensor]], list[Tensor]], values: list[Tensor]
) -> list[set[int]]:
    """Tells by which values each output of `function` has gradients.

    Args:
        function: Maps a list of tensors to a list of tensors.
        values: List of tensors.

    Returns:
        One set of indices into `values` per output.
    """
    raise NotImplementedError


def hessian_product(
    function: Callable[[list[Tensor]], Tensor],
    values: list[Tensor],
    direction: list[Tensor],
) -> list[Tensor]:
    """Returns the Hessian of a scalar function times a vector.

    Args:
        function: Maps a list of tensors to a scalar.
        values: List of tensors: where the Hessian is taken.
        direction: List of tensors of their shapes and dtypes: the vector.
    """
    raise NotImplementedError


# What runs, and when.


class TrainStepFrame(Trainer):
    """Runs the step where Keras's trainer expects `train_step`."""

    def run_task_step(self, data: Any) -> dict[str, Any]:
        """Makes a step by the strategy: what a model has to define.

        Args:
            data: A batch, as the trainer gives it.
        """
        raise NotImplementedError

    def before_look(self, *state: Any) -> None:
        """Gives the variables the values that the trainer holds.

        Args:
            *state: What the trainer passes to a step besides data.
        """

    def after_look(self) -> list[Any]:
        """Returns what the trainer is to pass to a step besides data."""
        return []


def compile_function(
    function: Callable[..., Any], run_eagerly: bool, jit_compile: bool | str
) -> Callable[..., Any]:
    """Returns a function of tensors as the trainer would compile it.

    Args:
        function: Pure function of nested lists of tensors.
        run_eagerly: The model's setting.
        jit_compile: The model's setting.
    """
    raise NotImplementedError


def keep_compiled(folder: str) -> None:
    """Keeps what is compiled from here on, for other processes too.

    Only JAX does: TensorFlow traces anew, and torch runs as it is.

    Args:
        folder: Where, unless the user has named a place.
    """


def after(value: Tensor, other: Tensor) -> Tensor:
    """Returns a scalar, which is not there before a vector `other` is."""
    return value


def end_of_pass(gradients: Sequence[Tensor]) -> Tensor | None:
    """Returns what is not there before a pass is through, or `None`.

    For `after`.

    Args:
        gradients: List of tensors, what the pass ends with.
    """
    return None


def computed_once(condition: Tensor) -> Tensor:
    """Returns a boolean scalar, which is computed in one place.

    For a condition that many things depend on.
    """
    return condition


def to_host(tensors: Sequence[Tensor]) -> Any:
    """Returns concrete tensors as NumPy arrays, or `None` while tracing.

    `Any`, for callers that know that nothing is traced.
    """
    raise NotImplementedError


# New state.


def commit(
    optimizer: keras.optimizers.Optimizer,
    gradients: list[Tensor],
    variables: list[Variable],
    assignments: Sequence[tuple[Variable, Tensor]],
    *,
    proceed: Tensor | None = None,
    keep: Tensor | None = None,
) -> bool:
    """Applies the optimizer and assigns new state, or leaves all as it was.

    Args:
        optimizer: A built optimizer.
        gradients: List of gradients of `variables`.
        variables: List of trainable variables.
        assignments: List of pairs of a variable and its new value.
        proceed: Optional boolean scalar: False leaves weights and optimizer.
        keep: Optional boolean scalar: False leaves the assigned variables.

    Returns:
        Whether it is known already that `proceed` was True.
    """
    raise NotImplementedError


def assign(assignments: Sequence[tuple[Variable, Tensor]]) -> None:
    """Assigns values to variables, given as pairs.

    Values are the same on all replicas.
    """
    for variable, value in assignments:
        variable.assign(value)


def build_scope(model: keras.Model) -> AbstractContextManager[Any]:
    """The scope in which variables of `model` are created."""
    return contextlib.nullcontext()


def as_assigned(value: Tensor) -> Tensor:
    """Returns what is read of a variable that a layer assigns a value to.

    Where variables are objects of the framework, no gradient passes through
    what they keep.
    """
    return ops.stop_gradient(value)


def check_stranger(variable: Variable) -> None:
    """Raises `ValueError` for a variable that a step cannot keep.

    Args:
        variable: One that the frame of the step does not have.
    """


# Replicas, of which each has a part of each batch.


def check_devices(branches: bool) -> None:
    """Refuses set-ups of several devices that would train wrongly.

    All of `keras.distribution` are fine, where gradients are global, and so
    are processes of `torch.distributed`, whose gradients are averaged.

    Args:
        branches: Whether some steps take gradients that others leave out.
    """


def num_replicas() -> int:
    """How many replicas compute a step together."""
    return 1


def sum_over_replicas(tensors: list[Tensor]) -> list[Tensor]:
    """Returns the sums over the replicas of tensors that each has."""
    return tensors


def undivided_loss(value: Tensor) -> Tensor:
    """Returns a Keras loss as it is without other replicas."""
    return value


def divided_loss(value: Tensor) -> Tensor:
    """Returns a loss as Keras expects it: replicas add up to a mean."""
    return value


def synchronize(variables: Sequence[Variable]) -> None:
    """Sets variables to what the first of several processes has.

    Where they are not created equal.
    """


# Random numbers.


class RandomReplay:
    """Lets several forward passes draw the same numbers.

    Those of a generator that layers draw from besides Keras's seed
    generators, which are explicit state. Calling the object gives a context
    manager in which the generator starts as it was when the object was made,
    and which leaves it as it found it.
    """

    def __call__(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def has_drawn(self) -> bool:
        """Whether numbers were drawn since the object was made."""
        return False

    def note_end(self) -> None:
        """Remembers how far the first pass has drawn."""

    def is_at_end(self) -> bool:
        """Whether a repeated pass has drawn as much as the first one."""
        return True


def global_random_state() -> Any | None:
    """State of the generator that layers draw from besides their own.

    As a NumPy array, or `None` where there is no such generator.
    """
    return None


def set_global_random_state(state: Any) -> None:
    """Sets that generator to what `global_random_state` returned.

    Does nothing where there is none: files may be of another backend.
    """


# Precision.


def full_precision() -> AbstractContextManager[None]:
    """Suspends what computes in 16 bits on its own."""
    return contextlib.nullcontext()


def forward_precision() -> AbstractContextManager[None]:
    """Resumes what `full_precision` suspended, for the user's model."""
    return contextlib.nullcontext()
