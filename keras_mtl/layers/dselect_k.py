"""DSelect-k: a gate that chooses k experts, and can be differentiated."""

import functools
import operator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl.arguments import MOST_PARTS
from keras_mtl.arguments import checked_integer
from keras_mtl.arguments import checked_number
from keras_mtl.export import keras_mtl_export
from keras_mtl.typing import Shape
from keras_mtl.typing import Tensor

#: Added to what logarithms are taken of, and least value to divide by.
EPSILON = 1e-6


@keras_mtl_export("keras_mtl.layers.DSelectK")
class DSelectK(keras.layers.Layer):
    """A gate that gives weight to at most k experts once it has settled.

    Softmax gates mix all experts for ever. This one starts as a dense mix and
    turns into a sparse one during training, smoothly, so that plain gradients
    train it; unlike top-k gates, which jump. Use it as `gate` of
    `keras_mtl.layers.MixtureOfExperts`, `MMoE`, `CGC` and `PLE`, with many
    experts above all. All experts are still computed.

    `q = sum_j softmax(w)_j r(z_j)`, `r(z)_i = prod_b S(z_b)` over the bits b
    that are 1 in the number i, times `prod_b (1 - S(z_b))` over those that
    are 0

    k selectors `r(z_j)` each choose one of the experts, which are numbered
    from 0 on in binary; each bit is soft at first and then 0 or 1 exactly.
    `S` is the smooth step function, a cubic from 0 at `-gamma / 2` to 1 at
    `gamma / 2` and constant beyond. `w` and all `z` are variables, or linear
    maps of the input.

    Where the number of experts n is no power of 2, some codes stand for no
    expert. What a selector gives to these is missing in the sum of the
    weights; a penalty drives it away. Penalties are added as losses of the
    layer, in training only, and belong to no task.

    Args:
        k: Number of selectors, from 1 to `num_experts`.
        num_experts: Number of experts n, at least 2. `None` in a template:
            the layer that uses the gate fills it in. Defaults to `None`.
        gamma: Width of the smooth step, greater than 0. Larger values settle
            later. Defaults to `1.0`.
        per_example: Whether the choice depends on the input; if not, all
            examples have the same experts. Defaults to `True`.
        entropy_weight: Factor, at least 0, of the penalty
            `-sum_j sum_i r(z_j)_i log(r(z_j)_i)`, which makes selectors
            settle sooner. Defaults to `0.0`.
        unused_weight: Factor, at least 0, of the penalty
            `sum_j 1 / sum_i r(z_j)_i` where n is no power of 2. Defaults to
            `1.0`.
        selector_initializer: Initializer of `z`, or of kernel and bias of its
            map. Defaults to `None`: uniform from `-gamma / 100` to
            `gamma / 100`.
        weight_initializer: The same for `w`. Defaults to
            `"random_uniform"`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Call arguments:
        inputs: A tensor `[batch, ..., features]`.
        training: Whether to add the penalties.

    Output shape:
        Weights `[batch, ..., num_experts]`, or `[batch, num_experts]` without
        `per_example`.

    Raises:
        ValueError: If an argument is out of range, k is greater than
            `num_experts`, or, when built, `num_experts` is still `None`.

    Example:

    ```python
    layer = keras_mtl.layers.MMoE(
        ["click", "buy"],
        expert=keras.layers.Dense(16, activation="relu"),
        num_experts=8,
        gate=keras_mtl.layers.DSelectK(k=2, entropy_weight=0.01),
    )
    ```

    References:
        Hazimeh et al., DSelect-k: Differentiable Selection in the Mixture of
        Experts with Applications to Multi-Task Learning, NeurIPS 2021,
        [arXiv:2106.03760](https://arxiv.org/abs/2106.03760).
        The authors' code adds the penalties of all examples; this takes their
        mean, so that the weight of a penalty does not depend on the batch
        size. And it divides by at least 1e-6: a selector may come to lie on
        an unused code, where the sum is 0.
    """

    def __init__(
        self,
        k: int,
        num_experts: int | None = None,
        gamma: float = 1.0,
        per_example: bool = True,
        entropy_weight: float = 0.0,
        unused_weight: float = 1.0,
        selector_initializer: Any = None,
        weight_initializer: Any = "random_uniform",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.k = checked_integer("k", k, high=MOST_PARTS)
        if num_experts is not None:
            checked_integer("num_experts", num_experts, 2, MOST_PARTS)
            if k > num_experts:
                raise ValueError(
                    "Argument `k` must be at most the number of experts. "
                    f"Received: k={k} for {num_experts} experts"
                )
        self.num_experts = num_experts
        self.gamma = checked_number("gamma", gamma, "(0, inf)")
        self.per_example = bool(per_example)
        self.entropy_weight = checked_number("entropy_weight", entropy_weight)
        self.unused_weight = checked_number("unused_weight", unused_weight)
        if selector_initializer is None:
            selector_initializer = keras.initializers.RandomUniform(
                -self.gamma / 100, self.gamma / 100
            )
        self.selector_initializer = keras.initializers.get(selector_initializer)
        self.weight_initializer = keras.initializers.get(weight_initializer)

    def build(self, inputs_shape: Shape) -> None:
        if self.num_experts is None:
            raise ValueError(
                "DSelectK must be told the number of experts: pass "
                "`num_experts`, or the gate as `gate` of a layer that has "
                "experts."
            )
        num_bits = (self.num_experts - 1).bit_length()
        numbers = np.arange(self.num_experts)[:, None]
        # The experts' binary numbers, `[num_experts, num_bits]`.
        bits = (numbers >> np.arange(num_bits)[::-1]) & 1
        self._codes = tuple(tuple(code) for code in bits.tolist())
        self._has_unused_codes = self.num_experts < 2**num_bits
        if self.per_example:
            self.selector_map = self._linear_map("selector", self.k * num_bits)
            self.weight_map = self._linear_map("weight", self.k)
            self.selector_map.build(inputs_shape)
            self.weight_map.build(inputs_shape)
        else:
            self.selector_logits = self.add_weight(
                name="selector_logits",
                shape=(self.k, num_bits),
                initializer=self.selector_initializer,
            )
            self.weight_logits = self.add_weight(
                name="weight_logits",
                shape=(self.k,),
                initializer=self.weight_initializer,
            )

    def _linear_map(self, name: str, units: int) -> keras.layers.Dense:
        initializer = getattr(self, f"{name}_initializer")
        return keras.layers.Dense(
            units,
            kernel_initializer=initializer,
            bias_initializer=initializer,
            name=f"{name}_map",
            dtype=self.dtype_policy,
        )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if self.per_example:
            weights = self.weight_map(inputs)
            logits = ops.reshape(
                self.selector_map(inputs),
                (*ops.shape(weights), len(self._codes[0])),
            )
        else:
            weights = ops.convert_to_tensor(self.weight_logits)
            logits = ops.convert_to_tensor(self.selector_logits)
        selectors = self._selectors(logits)
        if training:
            self._add_penalties(selectors)
        # The softmax; that of Keras warns of k = 1.
        weights = weights - ops.logsumexp(weights, axis=-1, keepdims=True)
        weights = ops.expand_dims(ops.exp(weights), -1)
        chosen = ops.sum(weights * selectors, axis=-2)
        if self.per_example:
            return chosen
        return ops.broadcast_to(
            chosen, (ops.shape(inputs)[0], self.num_experts)
        )

    def _selectors(self, logits: Tensor) -> Tensor:
        """Returns `[..., k, num_experts]` for logits `[..., k, num_bits]`."""
        position = ops.clip(logits / self.gamma + 0.5, 0.0, 1.0)
        # The cubic of the paper in terms of the place between its ends.
        step = ops.expand_dims(position**2 * (3.0 - 2.0 * position), -2)
        codes = ops.convert_to_tensor(self._codes, dtype=step.dtype)
        shares = step * codes + (1.0 - step) * (1.0 - codes)
        # Not `ops.prod`, whose gradient JAX cannot export for open sizes.
        bits = range(len(self._codes[0]))
        return functools.reduce(
            operator.mul, [shares[..., bit] for bit in bits]
        )

    def _add_penalties(self, selectors: Tensor) -> None:
        # Half precision would round the sums of many small shares.
        selectors = ops.cast(selectors, "float32")
        if self.entropy_weight:
            logarithms = ops.log(selectors + EPSILON)
            entropies = -ops.sum(selectors * logarithms, axis=-1)
            self._add_penalty(self.entropy_weight, entropies)
        if self._has_unused_codes and self.unused_weight:
            used = ops.maximum(ops.sum(selectors, axis=-1), EPSILON)
            self._add_penalty(self.unused_weight, 1.0 / used)

    def _add_penalty(self, weight: float, values: Tensor) -> None:
        """Adds the sum over selectors, its mean over examples."""
        self.add_loss(weight * ops.mean(ops.sum(values, axis=-1)))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return previous_mask if self.per_example else None

    def get_config(self) -> dict[str, Any]:
        serialize = keras.initializers.serialize
        return {
            **super().get_config(),
            "k": self.k,
            "num_experts": self.num_experts,
            "gamma": self.gamma,
            "per_example": self.per_example,
            "entropy_weight": self.entropy_weight,
            "unused_weight": self.unused_weight,
            "selector_initializer": serialize(self.selector_initializer),
            "weight_initializer": serialize(self.weight_initializer),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        # Keras's own makes a TypeError of the error for too large a k, which
        # a layer may meet when it fills in the number of experts.
        return cls(**config)
