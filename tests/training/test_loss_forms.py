"""Losses in the forms that Keras takes."""

import pytest

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
