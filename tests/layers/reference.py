"""Formulas of the papers, in NumPy."""

import numpy as np

from tests.backend_tools import numpy


def softmax(logits):
    """Softmax over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def linear(x, dense):
    """A `Dense` layer without activation."""
    y = x @ numpy(dense.kernel.value)
    return y + numpy(dense.bias.value) if dense.use_bias else y


def softmax_mixture(x, experts, gate, gate_x=None):
    """`sum_i softmax(W x)_i f_i`, outputs of experts given as arrays."""
    weights = softmax(linear(x if gate_x is None else gate_x, gate))
    return sum(
        weights[..., i : i + 1] * expert for i, expert in enumerate(experts)
    )


def dselect_k(selector_logits, weight_logits, num_experts, gamma=1.0):
    """The weights of one example, bit by bit, and the selectors."""

    def smooth_step(t):
        if t <= -gamma / 2:
            return 0.0
        if t >= gamma / 2:
            return 1.0
        return -2 / gamma**3 * t**3 + 3 / (2 * gamma) * t + 0.5

    selectors = np.ones((len(selector_logits), num_experts))
    num_bits = selector_logits.shape[-1]
    for j, logits in enumerate(selector_logits):
        for i in range(num_experts):
            for bit, t in zip(f"{i:0{num_bits}b}", logits, strict=True):
                step = smooth_step(t)
                selectors[j, i] *= step if bit == "1" else 1 - step
    return softmax(weight_logits) @ selectors, selectors
