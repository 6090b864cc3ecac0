"""DSelect-k against the paper's equations, bit by bit."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_mtl import backend
from keras_mtl import layers
from layers.reference import dselect_k
from layers.reference import linear
from layers.reference import softmax
from tests.backend_tools import numpy

#: Sums of a few products of numbers below 1, in float32.
TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}
#: Wide enough for bits at both ends of the step and between.
WIDE = keras.initializers.RandomUniform(-1.0, 1.0, seed=1)
#: Between the ends of the step for inputs around 1.
NARROW = keras.initializers.RandomUniform(-0.2, 0.2, seed=1)


def data(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def static(k=2, num_experts=4, **kwargs):
    kwargs.setdefault("selector_initializer", WIDE)
    return layers.DSelectK(k, num_experts, per_example=False, **kwargs)


@pytest.mark.parametrize("num_experts", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("gamma", [1.0, 2.5])
def test_static_weights(num_experts, gamma):
    gate = static(2, num_experts, gamma=gamma)
    weights = gate(data(3, 5))
    expected, _ = dselect_k(
        numpy(gate.selector_logits.value),
        numpy(gate.weight_logits.value),
        num_experts,
        gamma,
    )
    np.testing.assert_allclose(
        numpy(weights), np.stack([expected] * 3), **TOLERANCE
    )


@pytest.mark.parametrize("num_experts", [2, 5])
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 3)])
def test_weights_of_each_example(num_experts, shape):
    gate = layers.DSelectK(2, num_experts, selector_initializer=WIDE)
    x = data(*shape)
    weights = numpy(gate(x))
    assert weights.shape == (*shape[:-1], num_experts)
    num_bits = {2: 1, 5: 3}[num_experts]
    selectors = linear(x, gate.selector_map).reshape(-1, 2, num_bits)
    logits = linear(x, gate.weight_map).reshape(-1, 2)
    for row, z, w in zip(
        weights.reshape(-1, num_experts), selectors, logits, strict=True
    ):
        np.testing.assert_allclose(
            row, dselect_k(z, w, num_experts)[0], **TOLERANCE
        )


def test_settled_selectors_choose_experts_by_their_binary_number():
    gate = static(3, 8)
    gate.build((None, 4))
    # 6 = 110, 1 = 001, and 6 again.
    gate.selector_logits.assign([[1, 1, -1], [-1, -1, 1], [1, 0.5, -0.5]])
    gate.weight_logits.assign([0.0, 1.0, 2.0])
    first, second, third = softmax(np.arange(3.0))
    expected = np.zeros(8)
    expected[6], expected[1] = first + third, second
    np.testing.assert_allclose(
        numpy(gate(data(1, 4)))[0], expected, rtol=1e-6, atol=0
    )


def test_starts_dense():
    gate = layers.DSelectK(2, 8)
    weights = numpy(gate(data(4, 5)))
    # Each bit is near 1/2: kernels are below 0.01.
    np.testing.assert_allclose(weights, 1 / 8, atol=0.1)
    assert np.all(weights > 0)


def test_gradients_are_finite_at_and_beyond_the_ends_of_the_step():
    codes = np.array([[0.5, -0.5], [2.0, -2.0]], "float32")
    gate = static(2, 3, unused_weight=0.0)
    gate.build((None, 4))

    def total(values):
        mapping = list(zip(gate.trainable_variables, values, strict=True))
        with keras.StatelessScope(mapping):
            weights = gate(ops.ones((1, 4)))
        return [ops.sum(weights * ops.arange(3, dtype="float32"))], None

    values = [ops.convert_to_tensor(codes), ops.zeros((2,))]
    _, _, pullback = backend.linearize(total, values)
    by_codes, by_weights = pullback({0: ops.ones(())}, [0, 1])
    np.testing.assert_array_equal(numpy(by_codes), 0.0)
    np.testing.assert_array_equal(numpy(by_weights), 0.0)


def penalties(gate, x):
    gate(x, training=True)
    return [float(numpy(loss)) for loss in gate.losses]


@pytest.mark.parametrize("per_example", [False, True])
def test_penalties(per_example):
    gate = layers.DSelectK(
        2,
        5,
        per_example=per_example,
        entropy_weight=0.3,
        unused_weight=0.7,
        selector_initializer=NARROW,
    )
    x = data(4, 3)
    entropy, unused = penalties(gate, x)
    if per_example:
        logits = linear(x, gate.selector_map).reshape(-1, 2, 3)
    else:
        logits = numpy(gate.selector_logits.value)[None]
    entropies, inverses = [], []
    for z in logits:
        _, selectors = dselect_k(z, np.zeros(2), 5)
        entropies.append(-np.sum(selectors * np.log(selectors + 1e-6)))
        inverses.append(np.sum(1 / selectors.sum(axis=-1)))
    assert entropy == pytest.approx(0.3 * np.mean(entropies), rel=1e-5)
    assert unused == pytest.approx(0.7 * np.mean(inverses), rel=1e-5)


def test_no_penalties_at_inference_for_powers_of_two_or_weight_zero():
    x = data(4, 3)
    gate = static(2, 3)
    gate(x)
    assert not gate.losses
    assert not penalties(static(2, 4), x)
    assert not penalties(static(2, 3, unused_weight=0.0), x)
    assert len(penalties(static(2, 4, entropy_weight=0.1), x)) == 1


def test_penalty_of_a_selector_on_an_unused_code_is_finite():
    gate = static(1, 3)
    gate.build((None, 4))
    gate.selector_logits.assign([[1.0, 1.0]])
    assert penalties(gate, data(1, 4)) == [pytest.approx(1e6)]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda e, g: layers.MixtureOfExperts(e, 3, gate=g), [3]),
        (lambda e, g: layers.MMoE(["a", "b"], e, 3, gate=g), [3, 3]),
        (
            lambda e, g: layers.CGC(
                ["a", "b"], e, {"a": 1, "b": 2}, gate=g, shared_gate=True
            ),
            [2, 3, 4],
        ),
    ],
)
def test_layers_tell_the_gate_the_number_of_experts(make, expected):
    layer = make(keras.layers.Dense(3), layers.DSelectK(k=2))
    assert [g.num_experts for g in layer.gates.values()] == expected


def test_mixture_with_the_gate():
    x = data(4, 5)
    layer = layers.MixtureOfExperts(
        keras.layers.Dense(3), 3, gate=layers.DSelectK(k=2)
    )
    output = layer(x)
    weights = numpy(layer.gates[""](x))
    expected = sum(
        weights[:, i : i + 1] * linear(x, expert)
        for i, expert in enumerate(layer.experts)
    )
    np.testing.assert_allclose(numpy(output), expected, **TOLERANCE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "`k` must be an integer, at least 1"),
        ({"k": 2, "num_experts": 1}, "`num_experts` must be an integer, at"),
        (
            {"k": 5, "num_experts": 4},
            "at most the number of experts. R.*5 for 4",
        ),
        ({"k": 2, "gamma": 0}, r"`gamma` must be a number in \(0, inf\)"),
        ({"k": 2, "entropy_weight": -1}, "`entropy_weight` must be a number"),
        ({"k": 2, "unused_weight": None}, "`unused_weight` must be a number"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.DSelectK(**arguments)


def test_too_few_experts_for_the_gate():
    with pytest.raises(ValueError, match="k=3 for 2 experts"):
        layers.MMoE(
            ["a", "b"], keras.layers.Dense(3), 2, gate=layers.DSelectK(k=3)
        )


def test_alone_without_the_number_of_experts():
    with pytest.raises(ValueError, match="must be told the number of experts"):
        layers.DSelectK(k=2)(data(4, 5))
