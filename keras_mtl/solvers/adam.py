"""One step of Adam for a small vector, such as learned task weights."""

import math
from collections.abc import Sequence

import keras
from keras import ops

from keras_mtl.component import Component
from keras_mtl.typing import Shape
from keras_mtl.typing import Tensor

BETA_1 = 0.9
BETA_2 = 0.999
EPSILON = 1e-8


def adam_state(
    component: Component,
    name: str,
    shape: Shape,
    dtype: str,
    value: float = 0.0,
) -> tuple[keras.Variable, ...]:
    """Creates a vector that Adam learns, and the state of Adam.

    Args:
        component: Whose state it is.
        name: Name of the vector.
        shape: Its shape.
        dtype: Dtype of all variables.
        value: What the vector holds at first. Defaults to `0.0`.

    Returns:
        The vector, both moments and the steps, for `adam_update`.
    """
    return (
        component.add_state(name, shape, dtype, value=value),
        *(
            component.add_state(f"{name}_{part}", shape, dtype)
            for part in ("first_moment", "second_moment", "steps")
        ),
    )


def adam_update(
    state: Sequence[keras.Variable],
    gradient: Tensor,
    learning_rate: float,
    weight_decay: float = 0.0,
    mask: Tensor | None = None,
    limit: float | None = None,
) -> None:
    """Updates a vector in its variables by one step of Adam.

    Args:
        state: What `adam_state` returned.
        gradient: Tensor `[K]` of the objective that is minimised.
        learning_rate: Step size.
        weight_decay: As in `adam_step`. Defaults to `0.0`.
        mask: As in `adam_step`. Defaults to `None`.
        limit: Largest size of an entry afterwards. Defaults to `None`.
    """
    value, first, second, steps = (
        ops.convert_to_tensor(variable) for variable in state
    )
    stepped, *moments = adam_step(
        value,
        gradient,
        first,
        second,
        steps,
        learning_rate,
        weight_decay,
        mask,
    )
    if limit is not None:
        stepped = ops.clip(stepped, -limit, limit)
    for variable, new in zip(state, (stepped, *moments), strict=True):
        variable.assign(new)


def adam_step(
    value: Tensor,
    gradient: Tensor,
    first_moment: Tensor,
    second_moment: Tensor,
    steps: Tensor,
    learning_rate: float,
    weight_decay: float = 0.0,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns a vector after one step of Adam, and the state of Adam.

    In the `t`-th step of an entry, with `g` the gradient plus `weight_decay`
    times the value:

    `m = 0.9 m + 0.1 g`

    `v = 0.999 v + 0.001 g^2`

    `x = x - learning_rate m / (1 - 0.9^t) / (sqrt(v / (1 - 0.999^t)) + 1e-8)`

    Each entry counts its own steps, so that one that waits goes on as if the
    steps without it had not been.

    Args:
        value: Tensor `[K]`.
        gradient: Tensor `[K]` of the objective that is minimised.
        first_moment: Tensor `[K]`, zeros at first.
        second_moment: Tensor `[K]`, zeros at first.
        steps: Float tensor `[K]`: steps of each entry so far.
        learning_rate: Step size.
        weight_decay: Added to the gradient, times the value. Defaults to
            `0.0`.
        mask: Optional tensor `[K]`: entries where it is not positive keep
            their value and their state, bit for bit. Defaults to `None`.

    Returns:
        `(value, first_moment, second_moment, steps)`, the new ones.

    References:
        Kingma and Ba, Adam: A Method for Stochastic Optimization, ICLR 2015,
        algorithm 1, [arXiv:1412.6980](https://arxiv.org/abs/1412.6980). The
        weight decay is that of an L2 penalty, as in `torch.optim.Adam`.
    """
    total = gradient + weight_decay * value
    first = BETA_1 * first_moment + (1.0 - BETA_1) * total
    second = BETA_2 * second_moment + (1.0 - BETA_2) * ops.square(total)
    count = steps + 1.0
    # In float32, 1 - 0.999^t loses half of its digits.
    first_share = -ops.expm1(count * math.log(BETA_1))
    second_share = -ops.expm1(count * math.log(BETA_2))
    change = first / first_share
    change = change / (ops.sqrt(second / second_share) + EPSILON)
    stepped = value - learning_rate * change
    if mask is None:
        return stepped, first, second, count
    moves = mask > 0
    return (
        ops.where(moves, stepped, value),
        ops.where(moves, first, first_moment),
        ops.where(moves, second, second_moment),
        ops.where(moves, count, steps),
    )
