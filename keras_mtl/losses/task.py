"""A task as a loss of whatever its function names."""

import inspect
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl.export import keras_mtl_export

#: What the function of a task may be called with.
ARGUMENTS = (
    "y_true",
    "y_pred",
    "inputs",
    "model",
    "sample_weight",
    "training",
)


@keras_mtl_export("keras_mtl.losses.Task")
class Task:
    """A task that is a loss, not an output: an entry of `compile(loss=...)`.

    Its function gets what it names, by the names of its arguments:

    - `y_true`: the labels;
    - `y_pred`: the outputs;
    - `inputs`: the inputs of the batch;
    - `model`: a function from inputs to the outputs, at the weights of the
      pass, perturbed or not: for derivatives, and for other inputs;
    - `sample_weight`: the sample weights, or `None` where there are none;
    - `training`: whether this is a step of training.

    It returns a number, or one per sample, whose mean is taken, weighted by
    the sample weights unless it has asked for these. Several tasks may be of
    one output, and one task of several. In `compile(loss=...)` a function
    with these names needs no `Task` around it, if its name in the dict says
    which output is meant, or if the model has one.

    Labels and sample weights of a task, `loss_weights`, logs and strategies
    are by the name that the task has in `compile(loss=...)`; `y` is by the
    names of the labels.

    Args:
        function: The loss: a function with the arguments above, or anything
            that Keras's `compile` takes as the loss of one output.
        outputs: Name of the output, a tensor, or a list of names, which makes
            `y_pred` a dict by name. Defaults to `None`: the output with the
            name of the task, or the only one.
        labels: Name of the labels in `y`, or a list of names, which makes
            `y_true` a dict by name. A label that is NaN is missing, as for
            any loss; a task with several sees NaN. Defaults to `None`: the
            name of `data`, else those of `outputs`, for a function that takes
            `y_true`.
        data: Name of the samples of this task, where tasks have samples of
            their own: then `x` is a dict by these names, as
            `keras_mtl.datasets.MultiTaskDataset` gives it, each of which has
            the inputs of the model. Tasks may share them. Defaults to `None`:
            all tasks have the same samples.
        weight: Factor of the loss, like `loss_weights`: a number or a scalar
            `keras.Variable`. Defaults to `None`: 1.

    Raises:
        ValueError: If an argument of the function has another name, or
            arguments contradict each other.

    Example:

    ```python
    def residual(inputs, model):
        u_xx = keras_mtl.derivative(model, inputs, order=2, by=0)
        return ops.square(u_xx + ops.sin(inputs[:, :1]))

    inputs = keras.Input((1,))
    x = keras.layers.Dense(16, activation="tanh")(inputs)
    model = keras_mtl.MultiTaskModel(
        inputs, {"u": keras.layers.Dense(1)(x)}
    )
    model.compile(
        "adam",
        loss={
            "residual": keras_mtl.losses.Task(residual, data="inside"),
            "boundary": keras_mtl.losses.Task("mse", data="boundary"),
        },
        strategy="config",
    )
    points = np.linspace(0, np.pi, 32, dtype="float32")[:, None]
    ends = np.array([[0.0], [np.pi]], dtype="float32")
    dataset = keras_mtl.datasets.MultiTaskDataset(
        {"inside": points, "boundary": (ends, np.zeros((2, 1)))}
    )
    model.fit(dataset, verbose=0)
    ```
    """

    def __init__(
        self,
        function: Any,
        outputs: str | Sequence[str] | None = None,
        labels: str | Sequence[str] | None = None,
        data: str | None = None,
        weight: Any = None,
    ):
        self.function = function
        self.outputs = _checked_names("outputs", outputs)
        self.labels = _checked_names("labels", labels)
        if data is not None and not isinstance(data, str):
            raise ValueError(
                "Argument `data` of a `Task` must be the name of an entry of "
                "`x`; the samples themselves are given to `fit`, as `x={name: "
                f"...}}`. Received: data of type {type(data).__name__}."
            )
        self.data = data
        self.weight = weight
        #: Names that the function is called with; `None` where it is called
        #: as Keras calls losses, with labels and output.
        self.arguments = _named_arguments(function)
        if self.arguments is None or "y_true" in self.arguments:
            return
        if labels is not None:
            raise ValueError(
                "The function of a `Task` with `labels` must take them, by an "
                "argument `y_true`. It takes: "
                f"{', '.join(self.arguments)}. Received: labels={labels!r}."
            )

    def get_config(self) -> dict[str, Any]:
        if self.arguments is not None:
            check_registered(self.function)
        weight = self.weight
        if isinstance(weight, keras.Variable):
            weight = float(ops.convert_to_numpy(weight))
        return {
            "function": keras.saving.serialize_keras_object(self.function),
            "outputs": self.outputs,
            "labels": self.labels,
            "data": self.data,
            "weight": weight,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Task":
        config = dict(config)
        function = config.pop("function")
        if not callable(function):
            function = keras.saving.deserialize_keras_object(function)
        return cls(function, **config)

    def __repr__(self) -> str:
        return f"<Task of {self.function!r}>"


def takes_by_name(function: Any) -> bool:
    """Whether a loss is to be called with what its arguments name.

    Not one of `y_true` and `y_pred`, which Keras calls by position, whatever
    they are called.
    """
    if not _is_plain(function):
        return False
    required = {
        name
        for name, parameter in _parameters(function).items()
        if parameter.default is parameter.empty
    }
    return (
        bool(required)
        and required <= set(ARGUMENTS)
        and required != {"y_true", "y_pred"}
    )


def check_registered(function: Callable[..., Any]) -> None:
    """Raises `ValueError` for a function that a file cannot name.

    Args:
        function: A function of the user's own.
    """
    name = getattr(function, "__name__", "")
    registered = keras.saving.get_registered_name(function)
    if registered == name or not name:
        raise ValueError(
            f"The loss function {name or function!r} cannot be saved: a file "
            "has its name alone. Write "
            '`@keras.saving.register_keras_serializable("my_package")` above '
            "its `def`, at the top of a module; for arguments that are fixed, "
            "write a function that fixes them."
        )


def _checked_names(argument: str, names: Any) -> Any:
    """A name as it is, names as a list."""
    if names is None or isinstance(names, str):
        return names
    if isinstance(names, (list, tuple)) and all(
        isinstance(name, str) for name in names
    ):
        return list(names)
    raise ValueError(
        f"Argument `{argument}` of a `Task` must be a name or a list of "
        f"names. Received: {argument}={names!r}."
    )


def _is_plain(function: Any) -> bool:
    return (
        callable(function)
        and not isinstance(function, (type, keras.losses.Loss))
        and not (getattr(function, "__module__", "") or "").startswith("keras.")
    )


def _parameters(function: Any) -> dict[str, inspect.Parameter]:
    """The arguments that can be given, each by its name."""
    return {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind
        not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


def _named_arguments(function: Any) -> tuple[str, ...] | None:
    if not _is_plain(function):
        return None
    parameters = _parameters(function)
    unknown = [
        name
        for name, parameter in parameters.items()
        if name not in ARGUMENTS and parameter.default is parameter.empty
    ]
    if unknown:
        raise ValueError(
            "The function of a `Task` is called with what its arguments name: "
            f"{', '.join(ARGUMENTS)}. Received a function with the argument "
            f"{unknown[0]!r}: rename it, or give it a default."
        )
    known = tuple(name for name in parameters if name in ARGUMENTS)
    if not known:
        raise ValueError(
            "The function of a `Task` must take something, by arguments named "
            f"{', '.join(ARGUMENTS)}. Received: {function!r}."
        )
    return known
