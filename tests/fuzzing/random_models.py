"""Small models of many kinds, each made from a few drawn choices."""

import dataclasses

import keras
import numpy as np
from hypothesis import strategies as st

import keras_mtl

BACKEND = keras.backend.backend()
KINDS = (
    "functional",
    "list",
    "nested",
    "shared_layer",
    "two_inputs",
    "wrapped",
    "trunk_and_heads",
    "subclassed",
)
#: Kinds of which there is a `keras.Model` of the same layers.
GRAPHS = KINDS[:5]
OPTIMIZERS = (
    "sgd",
    "momentum",
    "adam",
    "rmsprop",
    "clipped",
    "accumulating",
    "scaled",
)
if BACKEND != "jax":
    # There, Keras cannot train such a model a second time.
    OPTIMIZERS += ("averaged",)


@dataclasses.dataclass(frozen=True)
class ModelChoice:
    """What a model is like.

    Attributes:
        kind: One of `KINDS`.
        num_tasks: Number of outputs, 2 or 3.
        batch_norm: Whether the trunk has batch normalization.
        dropout: Whether the trunk has dropout, with a seed.
        penalty: Whether a kernel of the trunk is regularized.
        auxiliary: Whether the last output has no loss.
    """

    kind: str
    num_tasks: int
    batch_norm: bool
    dropout: bool
    penalty: bool
    auxiliary: bool

    @property
    def outputs(self):
        return ["a", "b", "c"][: self.num_tasks]

    @property
    def tasks(self):
        return self.outputs[: self.num_tasks - self.auxiliary]


def model_choices(kinds=KINDS):
    return st.builds(
        ModelChoice,
        kind=st.sampled_from(kinds),
        num_tasks=st.integers(2, 3),
        batch_norm=st.booleans(),
        dropout=st.booleans(),
        penalty=st.booleans(),
        auxiliary=st.sampled_from([False, False, False, True]),
    )


def is_class(task):
    """Whether the labels of a task are classes."""
    return task == "b"


def trunk_layers(choice):
    """The layers that all tasks share, in order."""
    layers = [
        keras.layers.Dense(
            4,
            kernel_regularizer="l2" if choice.penalty else None,
            name="trunk",
        )
    ]
    if choice.batch_norm:
        layers.append(keras.layers.BatchNormalization(name="norm"))
    layers.append(keras.layers.Activation("tanh"))
    if choice.dropout:
        layers.append(keras.layers.Dropout(0.3, seed=7))
    return layers


def head(task):
    if is_class(task):
        return keras.layers.Dense(3, activation="softmax", name=task)
    return keras.layers.Dense(1, name=task)


def applied(layers, x):
    for layer in layers:
        x = layer(x)
    return x


def graph(choice):
    """Returns symbolic inputs and outputs."""
    inputs = keras.Input((4,), name="first")
    x = inputs
    if choice.kind == "two_inputs":
        second = keras.Input((2,), name="second")
        x = keras.layers.Concatenate()([inputs, second])
        inputs = {"first": inputs, "second": second}
    if choice.kind == "shared_layer":
        twice = keras.layers.Dense(4, activation="relu", name="twice")
        x = twice(twice(x))
    if choice.kind == "nested":
        x = keras.Sequential(trunk_layers(choice), name="inner")(x)
    else:
        x = applied(trunk_layers(choice), x)
    outputs = {task: head(task)(x) for task in choice.outputs}
    if choice.kind == "list":
        outputs = list(outputs.values())
    return inputs, outputs


@keras.saving.register_keras_serializable("fuzzing")
class Subclassed(keras_mtl.MultiTaskModel):
    """A model with a `call` of its own.

    Args:
        choice: The fields of a `ModelChoice`.
    """

    def __init__(self, choice, **kwargs):
        super().__init__(**kwargs)
        self.choice = dict(choice)
        drawn = ModelChoice(**choice)
        self.trunk = trunk_layers(drawn)
        self.heads = {task: head(task) for task in drawn.outputs}

    def call(self, inputs):
        x = applied(self.trunk, inputs)
        return {task: layer(x) for task, layer in self.heads.items()}

    def get_config(self):
        return {"choice": dict(self.choice)}


def make_model(choice):
    """Returns a built `MultiTaskModel`."""
    if choice.kind == "subclassed":
        model = Subclassed(dataclasses.asdict(choice))
    elif choice.kind == "trunk_and_heads":
        model = keras_mtl.MultiTaskModel(
            trunk=keras.Sequential(trunk_layers(choice)),
            heads={task: head(task) for task in choice.outputs},
        )
    elif choice.kind == "wrapped":
        model = keras_mtl.MultiTaskModel.from_model(make_plain_model(choice))
    else:
        model = keras_mtl.MultiTaskModel(*graph(choice))
    model(make_batch(choice, 4, 0)[0])
    return model


def make_plain_model(choice):
    """Returns the `keras.Model` of the same layers."""
    return keras.Model(*graph(choice))


def make_optimizer(name):
    sgd = keras.optimizers.SGD
    return {
        "sgd": lambda: sgd(0.05),
        "momentum": lambda: sgd(0.05, momentum=0.9),
        "adam": lambda: keras.optimizers.Adam(0.01),
        "rmsprop": lambda: keras.optimizers.RMSprop(0.01),
        "clipped": lambda: sgd(0.05, global_clipnorm=0.5),
        "averaged": lambda: sgd(0.05, use_ema=True),
        "accumulating": lambda: sgd(0.05, gradient_accumulation_steps=2),
        "scaled": lambda: keras.optimizers.LossScaleOptimizer(sgd(0.05)),
    }[name]()


def losses(choice):
    by_output = {
        task: "sparse_categorical_crossentropy" if is_class(task) else "mse"
        for task in choice.outputs
    }
    for task in choice.outputs:
        if task not in choice.tasks:
            by_output[task] = None
    if choice.kind == "list":
        return list(by_output.values())
    return by_output


def make_batch(choice, size, seed, missing=False, weighted=False):
    """Returns inputs, labels and sample weights (or `None`).

    Args:
        choice: A `ModelChoice`.
        size: Number of samples.
        seed: Of the random numbers.
        missing: Whether some labels are NaN.
        weighted: Whether samples have weights.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(size, 4)).astype("float32")
    y, weights = {}, {}
    # The outputs of a subclass are not known before it is called, so that
    # labels of one without a loss are taken for a mistake.
    labelled = choice.tasks if choice.kind == "subclassed" else choice.outputs
    for task in labelled:
        if is_class(task):
            y[task] = np.argmax(x[:, :3], axis=-1).astype("int32")
        else:
            y[task] = (x[:, :1] - x[:, 1:2]).astype("float32")
            if missing:
                y[task][rng.random(size) < 0.5] = np.nan
        weights[task] = rng.integers(0, 3, size).astype("float32")
        # Without any, the task's loss is NaN here and 0 in Keras.
        weights[task][0] = 1.0
    if choice.kind == "two_inputs":
        x = {"first": x, "second": x[:, :2] * 2}
    if choice.kind == "list":
        y, weights = list(y.values()), list(weights.values())
    return x, y, weights if weighted else None


def with_nan(x):
    """Returns inputs of which one is NaN."""
    x = keras.tree.map_structure(np.copy, x)
    keras.tree.flatten(x)[0][0, 0] = np.nan
    return x


def layers_of(model):
    """All layers with weights, those of nested models too."""
    found = []
    for layer in model.layers:
        inner = getattr(layer, "layers", None)
        if inner is not None:
            found += layers_of(layer)
        elif layer.weights:
            found.append(layer)
    return found
