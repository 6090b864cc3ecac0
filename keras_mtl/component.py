"""What aggregators, balancers, flatness regularizers and strategies share."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl import backend
from keras_mtl.seeded import checked_seed
from keras_mtl.seeded import reset_seed
from keras_mtl.typing import Shape
from keras_mtl.typing import Tensor

#: Classes of what Keras writes for the dtype of a layer.
POLICIES = ("DTypePolicy", "FloatDTypePolicy")


#: What Keras calls the variable of a seed generator.
SEED_STATE = "seed_generator_state"


class InitialState:
    """What the variables of a component hold before the first step.

    An object of its own: Keras would wrap and search a dict or a list.
    """

    def __init__(self) -> None:
        self.makers: list[tuple[keras.Variable, Callable[..., Any]]] = []


class Component(keras.layers.Layer):
    """A part of the training pipeline, with state of its own.

    Its weights are never trained by the optimizer and never follow a global
    mixed-precision policy: norms and moving averages need the range of
    float32.

    Args:
        **kwargs: Passed on to `keras.layers.Layer`, such as `name`.
    """

    #: The method learns from what an update does to the losses: the training
    #: step calls `observe` after it, at the cost of one forward pass.
    observes = False

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(autocast=False, **kwargs)
        self._initial_state = InitialState()
        self._is_in_file = True
        #: The number of tasks that there is state for.
        self.built_tasks: int | None = None
        self.seed: int | None = None
        self.seed_generator: keras.random.SeedGenerator | None = None

    def add_weight(
        self,
        shape: Shape | None = None,
        initializer: Any = "zeros",
        *args: Any,
        **kwargs: Any,
    ) -> keras.Variable:
        """As `keras.layers.Layer.add_weight`; `state_reset` sets it back.

        Args:
            shape: Its shape. Defaults to `None`, a scalar.
            initializer: What it holds before the first step and after
                `state_reset`. Defaults to `"zeros"`.
            *args: Passed on.
            **kwargs: Passed on.
        """
        initializer = keras.initializers.get(initializer)
        variable = super().add_weight(shape, initializer, *args, **kwargs)
        self._initial_state.makers.append((variable, initializer))
        return variable

    def add_state(
        self,
        name: str,
        shape: tuple[int, ...] = (),
        dtype: str = "float32",
        value: Any = 0,
    ) -> keras.Variable:
        """Creates a variable that the optimizer does not train.

        Args:
            name: Name of the variable.
            shape: Its shape. Defaults to `()`, a scalar.
            dtype: Its dtype. Defaults to `"float32"`.
            value: What it holds before the first step and after
                `state_reset`: a number, or an array of its shape. Defaults
                to `0`.
        """

        def exactly(shape: Shape, dtype: str | None = None) -> Tensor:
            # Keras's `Constant` rounds to float32 on its way.
            if np.ndim(value):
                return ops.convert_to_tensor(value, dtype=dtype)
            return ops.full(shape, value, dtype=dtype)

        return self.add_weight(
            name=name,
            shape=shape,
            dtype=dtype,
            initializer=exactly,
            trainable=False,
        )

    def add_seed(self, seed: int | None) -> None:
        """Makes the component draw random numbers from `seed_generator`.

        Args:
            seed: An integer from 0 to 2^31 - 1, or `None` for another one in
                every run.

        Raises:
            ValueError: If it is anything else.
        """
        self.seed = checked_seed(seed)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def check_tasks(self, num_tasks: int) -> None:
        """Raises `ValueError` for another number of tasks than it has state of.

        Args:
            num_tasks: The number of tasks that it is called with.
        """
        if self.built_tasks in (None, num_tasks):
            return
        if any(
            len(variable.shape) > 0 and variable.name != SEED_STATE
            for variable in self.variables
        ):
            raise ValueError(
                f"This {type(self).__name__} has state of {self.built_tasks} "
                f"tasks. Received: {num_tasks} tasks. Make another one for "
                "them; `state_reset` keeps the number."
            )

    def check_weights(self, weights: Any, num_tasks: int) -> Any:
        """Returns weights of tasks, or raises `ValueError` for other shapes."""
        shape = tuple(np.shape(weights))
        if shape not in ((num_tasks,), (None,)):
            raise ValueError(
                f"The weights that {type(self).__name__} computes must have "
                f"shape ({num_tasks},), one entry per task. Received: shape "
                f"{shape}."
            )
        return weights

    def state_reset(self) -> None:
        """Sets the state back to what it was before the first step."""
        for variable, maker in self._initial_state.makers:
            variable.assign(maker(variable.shape, variable.dtype))
        if self.seed_generator is not None:
            reset_seed(self.seed_generator)

    def observe(self, losses: Any, new_losses: Any, mask: Any = None) -> None:
        """Learns from the losses before and after an update.

        Called by the training step if `observes` is True. Both are losses of
        the same batch, with the same random numbers.

        Args:
            losses: Tensor `[K]` of task losses before the update.
            new_losses: Tensor `[K]` of task losses after it.
            mask: Optional tensor `[K]`, 1 for present tasks, 0 for absent.
        """

    def end_epoch(self) -> None:
        """Tells the component that an epoch of training is over.

        Called outside of the training step.
        """

    def notices(self) -> list[str]:
        """Returns what the user should know of the steps since the last call.

        Called at the end of every epoch; the messages are logged.
        """
        return []

    def read_and_reset(self, counter: keras.Variable | None) -> int:
        """Returns the value of a counter on the host, and sets it to 0."""
        if counter is None:
            return 0
        (value,) = backend.to_host([ops.convert_to_tensor(counter)])
        value = int(value)
        if value:
            counter.assign(0)
        return value

    @property
    def inner_components(self) -> "list[Component]":
        """The components inside that it was constructed with."""
        return []

    @property
    def nested_names(self) -> str:
        """Names of its class and of its parts: `"Strategy(Equal, MGDA)"`."""
        parts = ", ".join(part.nested_names for part in self.inner_components)
        return type(self).__name__ + (parts and f"({parts})")

    def get_build_config(self) -> None:
        # State is made for the tasks and variables of a model, by whoever
        # uses the component: a config alone revives it without state.
        return None

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        dtype = config.get("dtype")
        if isinstance(dtype, dict) and not (
            dtype.get("class_name") in POLICIES
            and dtype.get("module") == "keras"
        ):
            raise ValueError(
                'The "dtype" in a config must be the name of a dtype or the '
                f"config of a `keras.DTypePolicy`. Received: {dtype!r}"
            )
        return super().from_config(config)

    def build_from_config(self, config: Any) -> None:
        raise ValueError(
            f'A config of {type(self).__name__} has no "build_config": its '
            f"state is made for the model that it trains. Received: {config!r}"
        )

    def expect_state(self, is_in_file: bool) -> None:
        """Says whether the file that is loaded next has state of the component.

        A strategy tells its parts. Keras looks for them under every name that
        leads to them, and takes one that fails under the first name and finds
        nothing under the last for loaded.

        Args:
            is_in_file: Whether it has. Otherwise the state stays as it is.
        """
        self._is_in_file = is_in_file
        for part in self.inner_components:
            part.expect_state(is_in_file)

    def load_own_variables(self, store: Any) -> None:
        if self._is_in_file:
            super().load_own_variables(store)
