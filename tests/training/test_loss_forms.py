"""Losses in the forms that Keras takes."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl
from training import toy


def test_a_list_of_one_loss_is_that_loss():
    losses = toy.losses()
    logs = []
    for loss in (losses, {task: [one] for task, one in losses.items()}):
        model = toy.compiled(toy.make_model(), "sum", loss=loss)
        logs.append(toy.step(model))
    assert logs[0] == logs[1]


def test_a_task_has_one_loss():
    loss = {"left": ["mse", "mae"], "right": "mse"}
    model = toy.make_model(keras_mtl.MultiTaskModel)
    with pytest.raises(ValueError, match="Task 'left' must have one loss"):
        toy.compiled(model, "sum", loss=loss)


def squared(labels, outputs):
    return ops.mean(ops.square(labels - outputs))


@pytest.mark.parametrize("label_shape", [(-1,), (-1, 1)])
@pytest.mark.parametrize("output_shape", [(), (1,)])
def test_functions_get_labels_and_outputs_of_one_rank(
    label_shape, output_shape
):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    outputs = {
        task: keras.layers.Reshape(output_shape, name=task)(
            keras.layers.Dense(1)(inputs)
        )
        for task in ("left", "right")
    }
    model = keras_mtl.MultiTaskModel(inputs, outputs)
    toy.compiled(model, "sum", loss=dict.fromkeys(outputs, squared))
    x, y = toy.first_batch()
    labels = np.reshape(y["left"], label_shape)
    predicted = np.ravel(model.predict(x, verbose=0)["left"])
    logs = model.train_on_batch(
        x, dict.fromkeys(outputs, labels), return_dict=True
    )
    # All pairs of samples, if one were a column and the other a row.
    expected = np.mean(np.square(np.ravel(labels) - predicted))
    np.testing.assert_allclose(logs["left_loss"], expected, rtol=1e-5)


def test_what_is_no_loss_is_refused():
    with pytest.raises(ValueError, match="loss of task 'left' must be"):
        toy.compiled(toy.make_model(), "sum", loss={"left": 3, "right": "mse"})


def test_labels_are_named_or_listed():
    model = toy.compiled(toy.make_model(), "sum")
    x, y = toy.first_batch()
    with pytest.raises(ValueError, match="must be a dict by task name or"):
        model.train_on_batch(x, y["left"])


class Unfinished(keras_mtl.MultiTaskModel):
    """Names the layers of a task whose output it does not return."""

    def __init__(self, outputs):
        super().__init__(shared_layers=["trunk"])
        self.trunk = keras.layers.Dense(4, name="trunk")
        self.left = keras.layers.Dense(1, name="left")
        self.right = keras.layers.Dense(3, name="right")
        self.outputs_of = outputs

    def call(self, inputs):
        features = self.trunk(inputs)
        return self.outputs_of(self.left(features), self.right(features))


@pytest.mark.parametrize(
    "outputs, found",
    [
        (lambda left, right: {"left": left}, "a dict with left"),
        (lambda left, right: (left, right), "tuple"),
    ],
)
def test_a_model_returns_an_output_per_task(outputs, found):
    model = toy.compiled(Unfinished(outputs), "sum")
    x, y = toy.first_batch()
    with pytest.raises(ValueError, match=f"one output per task.*{found}"):
        model.train_on_batch(x, y)
