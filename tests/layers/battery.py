"""What every layer must do, whatever it computes."""

import json

import keras
import numpy as np
from keras import ops

import keras_mtl
from tests.backend_tools import compiled
from tests.backend_tools import numpy

#: Rounding of float32 in sums of a few dozen terms, in another order.
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def check_layer(make, inputs, by_task=None):
    """Runs all checks below on a layer.

    Args:
        make: Function without arguments that returns a new layer. It is
            called under several dtype policies.
        inputs: What the layer is called with: a float32 array with at least
            two samples, or a dict or list of them.
        by_task: Function from the layer's outputs to a dict of tensors by
            task, for training. Defaults to the outputs themselves where they
            are such a dict; one tensor serves two tasks.
    """
    check_compiled_call(make, inputs)
    check_uncompiled(make, inputs, by_task)


def check_uncompiled(make, inputs, by_task=None):
    """Runs all checks but that of the compiled call, as `check_layer` does."""
    check_config(make, inputs)
    check_symbolic_call(make, inputs)
    check_saving(make, inputs, by_task)
    for policy in ("mixed_bfloat16", "mixed_float16"):
        check_mixed_precision(make, inputs, policy)
    for strategy in (fs_mtl(), "db_mtl"):
        check_training(make, inputs, strategy, by_task)


def check_config(make, inputs):
    """A layer revived from JSON has the same config and the same weights."""
    layer = make()
    config = keras.saving.serialize_keras_object(layer)
    revived = keras.saving.deserialize_keras_object(
        json.loads(json.dumps(config))
    )
    assert type(revived) is type(layer)
    # As JSON: tuples and lists are one there.
    assert json.dumps(revived.get_config()) == json.dumps(layer.get_config())
    layer(inputs)
    revived(inputs)
    assert [(v.path, v.shape, v.dtype) for v in revived.weights] == [
        (v.path, v.shape, v.dtype) for v in layer.weights
    ]


def check_symbolic_call(make, inputs):
    """Called on symbols, it tells the shapes and dtypes of the real outputs."""
    layer = make()
    size = keras.tree.flatten(inputs)[0].shape[0]
    symbolic = layer(symbols(inputs))
    real = layer(inputs)
    keras.tree.assert_same_structure(symbolic, real)
    for symbol, tensor in zip(
        keras.tree.flatten(symbolic), keras.tree.flatten(real), strict=True
    ):
        assert symbol.shape[0] is None
        assert (size, *symbol.shape[1:]) == tuple(tensor.shape)
        assert symbol.dtype == keras.backend.standardize_dtype(tensor.dtype)


def check_compiled_call(make, inputs):
    """Compiled, it gives the same outputs as eagerly."""
    layer = make()
    tensors = keras.tree.map_structure(ops.convert_to_tensor, inputs)
    expected = layer(tensors)
    assert_same(compiled(layer)(tensors), expected)


def check_saving(make, inputs, by_task, path="model.keras"):
    """A saved model predicts the same after loading.

    The file goes to the working directory: `tests/layers/conftest.py` makes
    one for each test.
    """
    model = task_model(make(), inputs, by_task)
    expected = model(inputs)
    model.save(path)
    loaded = keras.saving.load_model(path)
    assert_same(loaded(inputs), expected)


def check_mixed_precision(make, inputs, policy):
    """Under a mixed policy it computes in half, with weights in float32."""
    with _policy(policy):
        layer = make()
        outputs = layer(inputs)
    half = policy.removeprefix("mixed_")
    for tensor in keras.tree.flatten(outputs):
        assert keras.backend.standardize_dtype(tensor.dtype) == half
        assert np.all(np.isfinite(numpy(ops.cast(tensor, "float32"))))
    for variable in layer.weights:
        if "float" in variable.dtype:
            assert variable.dtype == "float32", variable.path


def check_training(make, inputs, strategy, by_task=None):
    """A step with a strategy has finite losses and moves the weights."""
    layer = make()
    model = task_model(layer, inputs, by_task)
    tasks = model.tasks
    rng = np.random.default_rng(1)
    size = keras.tree.flatten(inputs)[0].shape[0]
    labels = {
        task: rng.normal(size=(size, 1)).astype("float32") for task in tasks
    }
    model.compile(
        keras.optimizers.SGD(0.1),
        loss=dict.fromkeys(tasks, "mse"),
        strategy=strategy,
    )
    before = [numpy(variable.value) for variable in layer.trainable_variables]
    logs = model.train_on_batch(inputs, labels, return_dict=True)
    assert {f"{task}_loss" for task in tasks} <= set(logs)
    assert all(np.isfinite(float(value)) for value in logs.values())
    after = [numpy(variable.value) for variable in layer.trainable_variables]
    assert all(np.all(np.isfinite(value)) for value in after)
    if before:
        assert any(np.any(a != b) for a, b in zip(before, after, strict=True))


def fs_mtl():
    """FS-MTL with the aggregator that compiles fastest."""
    return keras_mtl.strategies.FSMTL(keras_mtl.aggregators.PCGrad(seed=0))


def symbols(inputs):
    """Returns a `keras.Input` for each array; in a dict, with its name."""
    if isinstance(inputs, dict):
        return {key: symbol(array, key) for key, array in inputs.items()}
    return keras.tree.map_structure(symbol, inputs)


def symbol(array, name=None):
    """Returns a `keras.Input` for an array."""
    return keras.Input(array.shape[1:], dtype=str(array.dtype), name=name)


def task_model(layer, inputs, by_task=None):
    """Returns a `MultiTaskModel` with a small head on each task's features."""
    placeholders = symbols(inputs)
    features = layer(placeholders)
    if by_task is not None:
        features = by_task(features)
    elif not isinstance(features, dict):
        features = {"first": features, "second": features}
    outputs = {
        task: keras.layers.Dense(1, dtype="float32", name=f"head_{task}")(
            keras.layers.Flatten()(tensor)
        )
        for task, tensor in features.items()
    }
    return keras_mtl.MultiTaskModel(placeholders, outputs)


def assert_same(actual, expected):
    """Asserts that two structures of tensors are equal up to rounding."""
    keras.tree.assert_same_structure(actual, expected)
    for a, b in zip(
        keras.tree.flatten(actual), keras.tree.flatten(expected), strict=True
    ):
        np.testing.assert_allclose(numpy(a), numpy(b), **TOLERANCE)


class _policy:
    """A dtype policy for the length of a block."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self.name)

    def __exit__(self, *_):
        keras.config.set_dtype_policy(self.before)
