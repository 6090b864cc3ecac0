"""The networks of the released FS-MTL step, as Keras models."""

import json
from pathlib import Path

import keras
import numpy as np

import keras_mtl

FOLDER = Path(__file__).parent.parent / "data" / "fsmtl_step"


def load(name):
    """Returns the arrays of one file."""
    with np.load(FOLDER / f"{name}.npz") as arrays:
        return {key: arrays[key] for key in arrays.files}


NETWORKS = load("networks")
META = json.loads(str(NETWORKS["meta"]))
LEARNING_RATE = META["lr"]


def case_file(convention, network, adaptive):
    """Name of the file with a case."""
    if network == "convbn":
        return f"{convention}_{network}"
    return f"{convention}_{network}_adaptive{int(adaptive)}"


def to_keras(name, value):
    """Converts a torch weight to Keras's layout."""
    if value.ndim == 4:
        return value.transpose(2, 3, 1, 0)
    return value.T if value.ndim == 2 else value


def make_model(network, heads, dtype):
    """Builds the network with the published initial values."""
    options = {"activation": "tanh", "dtype": dtype}
    if network == "mlp":
        inputs = keras.Input((6,), dtype=dtype)
        features = keras.layers.Dense(8, name="fc1", **options)(inputs)
        features = keras.layers.Dense(5, name="fc2", **options)(features)
    else:
        inputs = keras.Input((7, 7, 1), dtype=dtype)
        features = keras.layers.Conv2D(3, 3, name="conv1", dtype=dtype)(inputs)
        if network == "convbn":
            features = keras.layers.BatchNormalization(
                epsilon=1e-5, momentum=0.9, name="bn1", dtype=dtype
            )(features)
        features = keras.layers.Activation("tanh", dtype=dtype)(features)
        features = keras.layers.Conv2D(
            4, 3, strides=2, name="conv2", **options
        )(features)
        # The published weights expect channels before rows and columns.
        features = keras.layers.Permute((3, 1, 2), dtype=dtype)(features)
        features = keras.layers.Flatten(dtype=dtype)(features)
        features = keras.layers.Dense(5, name="fc1", **options)(features)
    sizes = {"task_1": 4, "task_2": 3, "task_3": 2}
    outputs = {
        task: keras.layers.Dense(sizes[task], name=task, dtype=dtype)(features)
        for task in list(sizes)[:heads]
    }
    model = keras_mtl.MultiTaskModel(inputs, outputs)
    for name, variable in parameters(model, network, heads):
        variable.assign(to_keras(name, NETWORKS[f"init/{network}/{name}"]))
    return model


def parameters(model, network, heads):
    """Pairs of a published name and a variable, in the published order."""
    suffixes = {
        "weight": ("kernel", "gamma"),
        "bias": ("bias", "beta"),
    }
    pairs = []
    for name, _ in META["layout"][network]:
        layer, kind = name.split(".")
        if layer == "task_3" and heads == 2:
            continue
        found = [
            variable
            for variable in model.get_layer(layer).trainable_variables
            if variable.name in suffixes[kind]
        ]
        pairs.append((name, found[0]))
    return pairs


def split(model, network, heads, flat, part="all"):
    """Cuts a published flat vector into arrays in Keras's layout.

    Args:
        model: The model.
        network: Its name.
        heads: Number of heads.
        flat: Vector over all parameters, the shared ones or the heads.
        part: `"all"`, `"shared"` or `"heads"`.
    """
    arrays, start = {}, 0
    for name, shape in META["layout"][network]:
        is_head = name.startswith("task_")
        if name.startswith("task_3") and heads == 2:
            continue
        if part == "shared" and is_head or part == "heads" and not is_head:
            continue
        size = int(np.prod(shape))
        value = flat[start : start + size].reshape(shape)
        arrays[name] = to_keras(name, value)
        start += size
    assert start == len(flat)
    return arrays


def batch(network, heads, dtype):
    """Returns inputs and labels by task."""
    x = NETWORKS["x_mlp"]
    if network != "mlp":
        x = NETWORKS["x_conv"].transpose(0, 2, 3, 1)
    labels = {
        "task_1": NETWORKS["y1"].astype("int32"),
        "task_2": NETWORKS["y2"].astype("int32"),
        "task_3": NETWORKS["y3"].astype(dtype),
    }
    return x.astype(dtype), {t: labels[t] for t in list(labels)[:heads]}


def losses(heads, dtype):
    """Returns the losses by task."""
    crossentropy = keras.losses.SparseCategoricalCrossentropy
    all_losses = {
        "task_1": crossentropy(from_logits=True, dtype=dtype),
        "task_2": crossentropy(from_logits=True, dtype=dtype),
        "task_3": keras.losses.MeanSquaredError(dtype=dtype),
    }
    return {task: all_losses[task] for task in list(all_losses)[:heads]}
