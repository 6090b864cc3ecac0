"""The bilevel rule, against one put together by hand."""

import keras
import numpy as np
import pytest

import keras_mtl
from training import toy

RATE, LOOK, LEARN = 0.1, 0.05, 0.02


def held_out(num_samples=6):
    # All alike: a random batch of them is known.
    x, y = toy.data(1, seed=99)
    return (
        np.repeat(x, num_samples, axis=0),
        {task: np.repeat(v, num_samples, axis=0) for task, v in y.items()},
    )


def balancer(**kwargs):
    return keras_mtl.balancers.AutoLambda(
        step_size=LOOK, learning_rate=LEARN, batch_size=4, seed=0, **kwargs
    )


class ByHand:
    def __init__(self):
        self.model = toy.compiled(toy.make_model())
        self.variables = self.model.trainable_variables
        self.values = [v.astype("float64") for v in toy.arrays(self.variables)]

    def at(self, values, x, y):
        """Losses, and gradients `[K][variable]`, at given values."""
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value.astype("float32"))
        losses, gradients = self.model.task_gradients(x, y)
        shared = dict(
            zip(
                [v.path for v in self.model.shared_variables],
                toy.arrays(gradients.shared),
                strict=True,
            )
        )
        rows = []
        for k, task in enumerate(self.model.tasks):
            own = dict(
                zip(
                    [v.path for v in self.model.task_variables[task]],
                    toy.arrays(gradients.own[task]),
                    strict=True,
                )
            )
            rows.append(
                [
                    shared[v.path][k]
                    if v.path in shared
                    else own.get(v.path, np.zeros(v.shape))
                    for v in self.variables
                ]
            )
        return toy.arrays([losses])[0], rows


def combine(weights, rows):
    return [
        sum(w * g for w, g in zip(weights, gradients, strict=True))
        for gradients in zip(*rows, strict=True)
    ]


def inner(left, right):
    return sum(np.sum(a * b) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("primary", [None, [1.0, 0.0]])
def test_weights_follow_the_held_out_losses(primary):
    model = toy.compiled(
        toy.make_model(),
        balancer(primary_weights=primary),
        keras.optimizers.SGD(RATE),
    )
    x, y = toy.data(24)
    toy.fit(model, x, y, epochs=2, balancer_data=held_out())

    hand = ByHand()
    weights = np.full(2, 0.1)
    first, second = np.zeros(2), np.zeros(2)
    x_other, y_other = held_out(4)
    steps = 0
    for _ in range(2):
        for start in range(0, 24, 8):
            part = slice(start, start + 8)
            batch = x[part], {task: v[part] for task, v in y.items()}
            steps += 1
            _, rows = hand.at(hand.values, *batch)
            look = [
                value - LOOK * g
                for value, g in zip(
                    hand.values, combine(weights, rows), strict=True
                )
            ]
            _, other = hand.at(look, x_other, y_other)
            target = combine([1.0, 1.0] if primary is None else primary, other)
            # The exact derivative, where the method takes differences.
            gradient = -LOOK * np.array([inner(row, target) for row in rows])
            first = 0.9 * first + 0.1 * gradient
            second = 0.999 * second + 0.001 * gradient**2
            change = first / (1 - 0.9**steps)
            change /= np.sqrt(second / (1 - 0.999**steps)) + 1e-8
            weights = weights - LEARN * change
            update = combine(np.maximum(weights, 0), rows)
            hand.values = [
                value - RATE * g
                for value, g in zip(hand.values, update, strict=True)
            ]
    learned = toy.arrays([model.strategy.balancer.task_weights])[0]
    np.testing.assert_allclose(learned, weights, rtol=2e-2)
    assert np.abs(weights - 0.1).min() > 1e-2
    for actual, expected in zip(
        toy.arrays(model.trainable_variables), hand.values, strict=True
    ):
        np.testing.assert_allclose(actual, expected, atol=2e-3)


def test_data_is_no_part_of_a_saved_model(tmp_path):
    model = toy.compiled(toy.make_model(), balancer())
    toy.fit(model, balancer_data=held_out(2000))
    path = tmp_path / "model.keras"
    model.save(path)
    assert path.stat().st_size < 120_000
    loaded = keras.saving.load_model(path)
    np.testing.assert_array_equal(
        *toy.arrays([m.strategy.balancer.task_weights for m in (model, loaded)])
    )
    with pytest.raises(ValueError, match="balancer_data"):
        toy.fit(loaded)
    toy.fit(loaded, balancer_data=held_out())
    toy.fit(model, balancer_data=held_out())
    toy.assert_near(toy.weights(model), toy.weights(loaded), atol=1e-5)


def test_data_stays_until_it_is_replaced():
    model = toy.compiled(toy.make_model(), balancer())
    toy.fit(model, balancer_data=held_out())
    count = len(model.variables)
    toy.fit(model)
    toy.fit(model, balancer_data=held_out(9))
    assert len(model.variables) == count


@pytest.mark.parametrize(
    "strategy, data, message",
    [
        (None, "held out", "needs a strategy"),
        ("ew", "held out", "takes no data"),
        ("auto_lambda", None, "pass `balancer_data"),
        ("auto_lambda", 3, "must be a tuple"),
        ("auto_lambda", "short", "same number"),
    ],
)
def test_bad_data(strategy, data, message):
    model = toy.compiled(toy.make_model(), strategy)
    before = toy.snapshot(model)
    if data == "held out":
        data = held_out()
    if data == "short":
        x, y = held_out()
        data = x[:3], y
    with pytest.raises(ValueError, match=message):
        toy.fit(model, balancer_data=data)
    toy.assert_same(before, toy.snapshot(model))
