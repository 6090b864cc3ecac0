"""Random graphs with what real models have: for properties of all of them."""

import zlib

import keras
import numpy as np
from keras import ops

import keras_mtl

SAMPLES = 8
WIDTH = 4


@keras.saving.register_keras_serializable("tests.random_models")
class Stop(keras.layers.Layer):
    """Cuts the gradient."""

    def call(self, x):
        return ops.stop_gradient(x)


@keras.saving.register_keras_serializable("tests.random_models")
class Adds(keras.layers.Layer):
    """Adds an input that may not be there."""

    def call(self, x, more=None):
        return x if more is None else x + more

    def compute_output_shape(self, *shapes, **named):
        return (None, WIDTH)


@keras.saving.register_keras_serializable("tests.random_models")
class Tracks(keras.layers.Layer):
    """Keeps the mean size of its inputs in a metric."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.size = keras.metrics.Mean(name=f"{self.name}_size")

    def call(self, x):
        self.size.update_state(ops.mean(ops.abs(x)))
        return x


def dense(name, units=WIDTH, activation="tanh"):
    """A layer whose first weights follow from its name alone."""
    seed = zlib.crc32(name.encode()) % 2**31
    return keras.layers.Dense(
        units,
        activation=activation,
        name=name,
        kernel_initializer=keras.initializers.GlorotUniform(seed=seed),
    )


class Recipe:
    """What a random model is made of.

    Args:
        seed: Of the choices.
    """

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.tasks = list("abcd"[: rng.integers(2, 5)])
        #: Layers in the middle, with the tasks behind each.
        self.middle = [
            [t for t in self.tasks if rng.random() < 0.6] for _ in range(3)
        ]
        self.cut = {t for t in self.tasks if rng.random() < 0.2}
        self.feeds = rng.random() < 0.4
        self.shares_head = rng.random() < 0.4
        self.normalizes = rng.random() < 0.4
        self.drops = rng.random() < 0.4
        # `keras.Model` cannot keep such metrics on JAX.
        self.tracks = rng.random() < 0.4 and (keras.backend.backend() != "jax")
        self.takes_more = rng.random() < 0.4
        self.order = list(rng.permutation(len(self.tasks)))

    def model(self, cls=keras_mtl.MultiTaskModel, permuted=False):
        """Makes it, as a `keras.Model` or a `MultiTaskModel`."""
        inputs = {"x": keras.Input((3,), name="x")}
        features = dense("trunk")(inputs["x"])
        if self.takes_more:
            inputs["more"] = keras.Input((WIDTH,), name="more", optional=True)
            features = Adds(name="adds")(features, inputs["more"])
        if self.normalizes:
            features = keras.layers.BatchNormalization(name="norm")(features)
        if self.drops:
            features = keras.layers.Dropout(0.3, seed=5, name="drop")(features)
        if self.tracks:
            features = Tracks(name="tracks")(features)
        of_task = dict.fromkeys(self.tasks, features)
        for place, tasks in enumerate(self.middle):
            layer = dense(f"middle_{place}")
            for task in tasks:
                of_task[task] = layer(of_task[task])
        head = dense("head", 1, None)
        outputs = {}
        for task in self.tasks:
            found = of_task[task]
            if task in self.cut:
                found = Stop(name=f"cut_{task}")(found)
            if self.feeds and task == "b":
                joined = keras.layers.Concatenate(name="joined")
                found = joined([found, outputs["a"]])
                outputs[task] = dense(f"head_{task}", 1, None)(found)
            elif self.shares_head and task in "ac":
                named = keras.layers.Identity(name=f"named_{task}")
                outputs[task] = named(head(found))
            else:
                outputs[task] = dense(f"head_{task}", 1, None)(found)
        if permuted:
            outputs = {
                self.tasks[k]: outputs[self.tasks[k]] for k in self.order
            }
        return cls(inputs if self.takes_more else inputs["x"], outputs)

    def batches(self, count=2):
        """Inputs and labels, from the seeds 0, 1, ..."""
        for seed in range(count):
            rng = np.random.default_rng(seed)
            x = rng.normal(size=(SAMPLES, 3)).astype("float32")
            y = {
                task: rng.normal(size=(SAMPLES, 1)).astype("float32") * (k + 1)
                for k, task in enumerate(self.tasks)
            }
            yield {"x": x, "more": None} if self.takes_more else x, y
