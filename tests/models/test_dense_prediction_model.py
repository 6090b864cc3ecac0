"""Predictions for each pixel, by a decoder per task."""

import keras
import numpy as np
import pytest

import keras_mtl
from keras_mtl.models import dense_prediction_model
from tests.backend_tools import numpy
from tests.models import backbones

TASKS = {"segmentation": 4, "depth": 1, "normals": 3}
LOSSES = {
    "segmentation": keras.losses.SparseCategoricalCrossentropy(
        from_logits=True
    ),
    "depth": "mae",
    "normals": "cosine_similarity",
}


def make(backbone=None, **arguments):
    arguments = {
        "tasks": TASKS,
        "unit_length": ["normals"],
        "filters": 8,
        "rates": (1, 2),
        **arguments,
    }
    backbone = backbone or backbones.convolutions()
    return dense_prediction_model(backbone, **arguments)


def data(size=32):
    rng = np.random.default_rng(0)
    shape = (4, size, size)
    normals = rng.normal(size=(*shape, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return rng.uniform(size=(*shape, 3)).astype("float32"), {
        "segmentation": rng.integers(0, 4, size=shape),
        "depth": rng.uniform(size=(*shape, 1)).astype("float32"),
        "normals": normals.astype("float32"),
    }


@pytest.mark.parametrize(
    "backbone", [backbones.mobile_net, backbones.keras_hub_resnet]
)
def test_predicts_at_the_resolution_of_the_images(backbone):
    model = make(backbone())
    assert isinstance(model, keras_mtl.MultiTaskModel)
    assert model.tasks == list(TASKS)
    for task, output in model(data()[0]).items():
        assert output.shape == (4, 32, 32, TASKS[task])


@pytest.mark.parametrize("attention", [False, True])
def test_learns(attention):
    x, y = data()
    tasks = {"segmentation": 4, "depth": 1}
    model = make(tasks=tasks, unit_length=(), rates=(1,), attention=attention)
    losses = {task: LOSSES[task] for task in tasks}
    labels = {task: y[task] for task in tasks}
    model.compile(keras.optimizers.Adam(0.01), losses, strategy="ew")
    history = model.fit(x, labels, epochs=4, batch_size=4, verbose=0).history
    assert np.all(np.isfinite(history["loss"]))
    assert history["loss"][-1] < history["loss"][0]


def test_normals_have_length_one():
    outputs = make()(data()[0])
    length = np.linalg.norm(numpy(outputs["normals"]), axis=-1)
    np.testing.assert_allclose(length, 1.0, rtol=1e-5)
    assert np.std(np.linalg.norm(numpy(outputs["segmentation"]), axis=-1)) > 0


def test_gradients_are_finite_where_all_outputs_are_zero():
    x, y = data()
    model = make()
    # Keras's cosine similarity has no finite gradient there itself.
    model.compile("sgd", {**LOSSES, "normals": "mse"}, strategy="ew")
    for variable in model.trainable_variables:
        variable.assign(keras.ops.zeros_like(variable.value))
    logs = model.train_on_batch(x, y, return_dict=True)
    assert np.isfinite(logs["loss"])
    for variable in model.trainable_variables:
        assert np.all(np.isfinite(numpy(variable.value))), variable.path


def test_the_backbone_is_shared_and_decoders_are_own():
    backbone = backbones.convolutions()
    model = make(backbone)
    shared = {id(variable) for variable in model.shared_variables}
    assert shared == {id(v) for v in backbone.trainable_variables}
    for task, own in model.task_variables.items():
        decoder = model.get_layer(f"{task}_decoder")
        assert {id(v) for v in own} == {
            id(v) for v in decoder.trainable_variables
        }


def test_sizes_may_be_open():
    model = make(backbones.convolutions(None), attention=True)
    x, _ = data(48)
    for task, output in model(x).items():
        assert output.shape == (4, 48, 48, TASKS[task])


def test_levels_are_chosen():
    model = make(backbones.mobile_net(64), fine_level=1, coarse_level=4)
    fine, coarse = model.get_layer("depth_decoder").inputs
    assert fine.shape[1:3] == (32, 32)
    assert coarse.shape[1:3] == (4, 4)


def test_is_saved_and_loaded(tmp_path):
    x, _ = data()
    model = make(attention=True)
    expected = model(x)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.output_names == list(TASKS)
    for task, output in loaded(x).items():
        np.testing.assert_allclose(
            numpy(output), numpy(expected[task]), rtol=1e-5, atol=1e-5
        )


def test_outputs_are_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    for output in make(attention=True)(data()[0]).values():
        assert keras.backend.standardize_dtype(output.dtype) == "float32"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tasks": {"depth": 1}}, "dict from two or more task names"),
        ({"tasks": ["a", "b"]}, "dict from two or more task names"),
        ({"tasks": {"a": 1, "b": 0}}, r"`tasks\['b'\]` must be an integer"),
        ({"unit_length": ["normal"]}, "`unit_length` must be a list of names"),
        ({"unit_length": "depth"}, "`unit_length` must be a list of names"),
        ({"filters": 0}, "`filters` must be an integer"),
        ({"dropout": 1.0}, "`dropout` must be a number"),
        ({"coarse_level": 9}, "levels of the backbone, 1, 2, 3, the fine one"),
        (
            {"fine_level": 3, "coarse_level": 2},
            "Received: fine_level=3, coarse_level=2",
        ),
    ],
)
def test_refuses_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)
