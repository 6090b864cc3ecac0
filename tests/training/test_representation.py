"""Task gradients by the output of the trunk, `gradients="representation"`."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl
from keras_mtl import aggregators
from training import toy
from training.representation_networks import TASKS
from training.representation_networks import state
from training.representation_runs import RATE
from training.representation_runs import everything
from training.representation_runs import inputs_of
from training.representation_runs import labels_of
from training.representation_runs import strategy


def layers():
    keras.utils.set_random_seed(3)
    return {
        "trunk": keras.layers.Dense(5, activation="tanh", name="trunk"),
        "a": keras.layers.Dense(1, name="a"),
        "b": keras.layers.Dense(3, activation="softmax", name="b"),
        "c": keras.layers.Dense(2, name="c"),
    }


def by_trunk():
    made = layers()
    model = keras_mtl.MultiTaskModel(
        trunk=made.pop("trunk"), heads={task: made[task] for task in TASKS}
    )
    model(np.zeros((1, 6), dtype="float32"))
    return model


def by_graph():
    made = layers()
    inputs = keras.Input((6,))
    features = made["trunk"](inputs)
    return keras_mtl.MultiTaskModel(
        inputs, {task: made[task](features) for task in TASKS}
    )


LOSSES = {"a": "mse", "b": "sparse_categorical_crossentropy", "c": "mse"}


def data(num_samples=8):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(num_samples, 6)).astype("float32")
    return x, {
        "a": (x[:, :1] - x[:, 1:2]).astype("float32"),
        "b": np.argmax(x[:, 2:5], axis=-1).astype("int32"),
        "c": rng.normal(size=(num_samples, 2)).astype("float32"),
    }


class ByHand:
    """Derivatives of the model above in float64, from their formulas."""

    def __init__(self, model, x, y):
        values = [value.astype("float64") for value in toy.weights(model)]
        kernel, bias, *heads = values
        self.x = x.astype("float64")
        self.z = np.tanh(self.x @ kernel + bias)
        self.by_feature, self.own = [], {}
        for task, (kernel, bias) in zip(
            TASKS, zip(heads[::2], heads[1::2], strict=True), strict=True
        ):
            logits = self.z @ kernel + bias
            if task == "b":
                power = np.exp(logits - logits.max(axis=1, keepdims=True))
                share = power / power.sum(axis=1, keepdims=True)
                by_logit = (share - np.eye(3)[y["b"]]) / len(x)
            else:
                by_logit = 2 * (logits - y[task]) / logits.size
            self.by_feature.append(by_logit @ kernel.T)
            self.own[task] = [self.z.T @ by_logit, by_logit.sum(axis=0)]

    def through_trunk(self, by_feature):
        before = by_feature * (1 - self.z**2)
        return [self.x.T @ before, before.sum(axis=0)]


AGGREGATORS = {
    "mgda": aggregators.MGDA,
    "mgda_l2": lambda: aggregators.MGDA("l2"),
    "cagrad": lambda: aggregators.CAGrad(c=0.4),
    "pcgrad": lambda: aggregators.PCGrad(seed=1),
    "nash_mtl": aggregators.NashMTL,
    "imtl_g": aggregators.IMTLG,
    "upgrad": aggregators.UPGrad,
    "pcd": aggregators.PCD,
}


@pytest.mark.parametrize(
    "make, name",
    [
        *((by_trunk, name) for name in AGGREGATORS),
        (by_graph, "mgda"),
        (by_graph, "pcgrad"),
    ],
)
def test_is_the_chain_rule(make, name):
    x, y = data()
    model = make()
    by_hand = ByHand(model, x, y)
    rows = np.stack([row.ravel() for row in by_hand.by_feature])
    losses = {task: LOSSES[task] for task in TASKS}
    before = toy.weights(model)
    toy.compiled(
        model,
        strategy(AGGREGATORS[name]()),
        keras.optimizers.SGD(RATE),
        loss=losses,
    )
    logs = toy.step(model, x, y)
    # The aggregators that take losses get those of the model.
    values = np.array([logs[f"{task}_loss"] for task in TASKS], "float32")
    merged = ops.convert_to_numpy(
        AGGREGATORS[name]()(rows.astype("float32"), losses=values)
    )
    shared = by_hand.through_trunk(np.reshape(merged, by_hand.z.shape))
    own = [gradient for task in TASKS for gradient in by_hand.own[task]]
    expected = [-RATE * gradient for gradient in (*shared, *own)]
    after = toy.weights(model)
    actual = [new - old for old, new in zip(before, after, strict=True)]
    # float32 gradients of order 1, times the learning rate; the iterative
    # solvers amplify what float32 rounds off the rows.
    toy.assert_near(actual, expected, atol=1e-5)
    assert max(np.abs(value).max() for value in expected[:2]) > 1e-3


def test_differs_from_the_gradients_of_the_weights():
    results = []
    for gradients in ("representation", "parameters"):
        model = toy.compiled(
            by_trunk(), strategy("mgda", gradients), loss=LOSSES
        )
        toy.step(model, *data())
        results.append(toy.weights(model)[:2])
    assert toy.distance(*results) > 1e-4


# ---------------------------------------------------- failures, files, resets


@pytest.mark.parametrize("name", ["mgda", "nash_mtl"])
def test_a_loss_that_is_not_finite_changes_nothing(name):
    model = toy.compiled(
        state("trunk")(), strategy(name), loss=dict.fromkeys(TASKS, "mse")
    )
    x, y = inputs_of("", 8), labels_of(8)
    toy.step(model, x, y)
    before = everything(model), toy.snapshot(model)
    y["b"][2] = np.inf
    with pytest.raises(keras_mtl.NonFiniteError, match="task 'b'"):
        toy.step(model, x, y)
    toy.assert_same(everything(model), before[0])
    toy.assert_same(toy.snapshot(model), before[1])


def test_goes_on_from_a_file(tmp_path):
    aggregator = aggregators.CRMOGM(aggregators.PCGrad(seed=3))
    model = toy.compiled(
        by_graph(), strategy(aggregator, balancer="dwa"), loss=LOSSES
    )
    x, y = data()
    toy.step(model, x, y)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.strategy.gradients == "representation"
    assert loaded.strategy.get_config() == model.strategy.get_config()
    for trained in (model, loaded):
        toy.step(trained, x, y)
        toy.step(trained, x, y)
    toy.assert_same(toy.snapshot(model), toy.snapshot(loaded))


def test_state_reset():
    model = toy.compiled(
        by_graph(),
        strategy(aggregators.CRMOGM(aggregators.PCGrad(seed=3))),
        keras.optimizers.SGD(RATE),
        loss=LOSSES,
    )
    x, y = data()
    start = toy.weights(model)
    runs = []
    for _ in range(2):
        model.set_weights(start)
        for _ in range(2):
            toy.step(model, x, y)
        runs.append(toy.snapshot(model))
        model.strategy.state_reset()
    toy.assert_same(runs[0]["weights"], runs[1]["weights"])
    toy.assert_same(runs[0]["strategy"], runs[1]["strategy"])
