"""What a step tells components: losses after it, epochs, samples."""

import logging

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl
from training import toy


class Watcher(keras_mtl.balancers.Balancer):
    """Keeps what it is shown."""

    observes = True

    def build_state(self, num_tasks, dtype):
        def zeros(name, shape=()):
            return self.add_weight(
                name=name, shape=shape, initializer="zeros", trainable=False
            )

        self.before = zeros("before", (num_tasks,))
        self.after = zeros("after", (num_tasks,))
        self.steps = zeros("steps")
        self.epochs = zeros("epochs")

    def compute_weights(self, losses, mask=None):
        return ops.ones_like(losses)

    def observe(self, losses, new_losses, mask=None):
        self.before.assign(losses)
        self.after.assign(new_losses)
        self.steps.assign(self.steps + 1)

    def end_epoch(self):
        self.epochs.assign(self.epochs + 1)

    def notices(self):
        return ["something to say"]


class Meter(keras_mtl.aggregators.Aggregator):
    """Notes the losses of three parts of the batch in its update."""

    samples = 3

    def aggregate(self, jacobian, losses=None, mask=None):
        return jacobian.combine(ops.ones((jacobian.num_tasks,)))

    def aggregate_samples(self, jacobians, losses=None, mask=None):
        parts = [self.aggregate(jacobian) for jacobian in jacobians]
        return [sum(part) / 3.0 for part in zip(*parts, strict=True)]


def losses_of(model, x, y):
    """The task losses as a plain model evaluates them in training mode."""
    outputs = model(x, training=True)
    by_task = model.compute_task_losses(x, y, outputs)
    return [float(ops.convert_to_numpy(by_task[t])) for t in model.tasks]


def test_observers_see_the_losses_before_and_after():
    model = toy.compiled(toy.make_model(), Watcher())
    x, y = toy.first_batch()
    before = losses_of(model, x, y)
    toy.step(model, x, y)
    after = losses_of(model, x, y)
    watcher = model.strategy.balancer
    np.testing.assert_allclose(toy.arrays([watcher.before])[0], before, 1e-5)
    np.testing.assert_allclose(toy.arrays([watcher.after])[0], after, 1e-5)
    assert not np.allclose(before, after, rtol=1e-3)


@pytest.mark.parametrize("seed", [None, 3])
def test_observers_see_the_same_dropout(seed):
    # With a learning rate of 0 nothing but the mask could differ.
    model = toy.make_model(dropout=0.5, dropout_seed=seed)
    toy.compiled(model, Watcher(), keras.optimizers.SGD(0.0))
    toy.step(model)
    watcher = model.strategy.balancer
    before, after = toy.arrays([watcher.before, watcher.after])
    np.testing.assert_allclose(before, after, rtol=1e-6)


def test_observers_see_the_same_sample_weights():
    # With a learning rate of 0 nothing but the weights could differ.
    model = toy.make_model()
    toy.compiled(model, Watcher(), keras.optimizers.SGD(0.0))
    weights = np.array([0, 3, 1, 0, 0, 2, 5, 1], dtype="float32")
    sample_weight = {"left": weights, "right": weights[::-1].copy()}
    toy.step(model, *toy.first_batch(), sample_weight=sample_weight)
    watcher = model.strategy.balancer
    before, after = toy.arrays([watcher.before, watcher.after])
    np.testing.assert_allclose(before, after, rtol=1e-6)
    ones = {task: np.ones_like(weights) for task in sample_weight}
    toy.step(model, *toy.first_batch(), sample_weight=ones)
    assert not np.allclose(toy.arrays([watcher.before])[0], before, rtol=0.01)


def test_the_extra_pass_leaves_no_trace():
    def train(strategy):
        model = toy.make_model(batch_norm=True, dropout=0.3, dropout_seed=1)
        toy.compiled(model, strategy)
        toy.fit(model)
        return toy.weights(model)

    toy.assert_near(train(Watcher()), train("ew"), atol=1e-6)


def test_failed_steps_are_not_observed():
    model = toy.compiled(toy.make_model(), Watcher(), on_nonfinite="skip")
    x, y = toy.first_batch()
    toy.step(model, x, y)
    before = toy.snapshot(model)
    toy.step(model, np.full_like(x, np.nan), y)
    toy.assert_same(before, toy.snapshot(model))


@pytest.mark.parametrize("as_list", [False, True])
def test_epochs_are_told_before_models_are_saved(as_list, caplog):
    class Look(keras.callbacks.Callback):
        seen = ()

        def on_epoch_end(self, epoch, logs=None):
            watcher = self.model.strategy.balancer
            self.seen = (*self.seen, float(toy.arrays([watcher.epochs])[0]))

    look = Look()
    model = toy.compiled(toy.make_model(), Watcher())
    callbacks = [look]
    if as_list:
        callbacks = keras.callbacks.CallbackList(
            callbacks, add_history=True, model=model, epochs=3, steps=3
        )
    with caplog.at_level(logging.WARNING, "keras_mtl"):
        toy.fit(model, epochs=3, callbacks=callbacks)
    assert look.seen == (1.0, 2.0, 3.0)
    assert caplog.messages == [
        f"Epoch {n}: something to say" for n in (1, 2, 3)
    ]
    assert {record.name for record in caplog.records} == {"keras_mtl"}


def test_parts_of_a_batch_average_to_the_whole():
    def train(strategy):
        model = toy.compiled(toy.make_model(), strategy)
        x, y = toy.data(24)
        toy.fit(model, x, y, batch_size=12)
        return toy.weights(model)

    toy.assert_near(train(Meter()), train("ew"), atol=2e-6)


def test_parts_of_a_batch_differ():
    class First(Meter):
        def aggregate_samples(self, jacobians, losses=None, mask=None):
            return self.aggregate(jacobians[1])

    model = toy.compiled(toy.make_model(), First())
    x, y = toy.first_batch(9)
    start = toy.weights(model)
    part = {task: labels[1::3] for task, labels in y.items()}
    _, gradients = model.task_gradients(x[1::3], part)
    expected = {
        variable.path: 0.1 * toy.arrays([gradient])[0].sum(axis=0)
        for variable, gradient in zip(
            model.shared_variables, gradients.shared, strict=True
        )
    }
    toy.step(model, x, y)
    checked = 0
    for variable, old, new in zip(
        model.weights, start, toy.weights(model), strict=True
    ):
        if variable.path in expected:
            np.testing.assert_allclose(
                old - new, expected[variable.path], rtol=1e-4, atol=1e-6
            )
            checked += 1
    assert checked == 2


def test_a_batch_too_short_to_split():
    if toy.BACKEND == "tensorflow":
        pytest.skip("Sizes of batches are not known when a step is traced.")
    model = toy.compiled(toy.make_model(), Meter())
    before = toy.snapshot(model)
    x, y = toy.first_batch(2)
    with pytest.raises(ValueError, match="splits each batch into 3 parts"):
        toy.step(model, x, y)
    toy.assert_same(before, toy.snapshot(model))
