"""torch: gradients by variables as they are, and a batch before its step."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import torch

from keras_mtl.backend.torch import alone
from keras_mtl.backend.torch import reached_by
from keras_mtl.backend.torch import to_host
from keras_mtl.backend.torch_precision import full_precision
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable

__all__ = [
    "autocast_dtypes",
    "evaluate_live",
    "live_gradients",
    "live_reach",
    "peek",
]


def live_gradients(
    function: Callable[[], tuple[Tensor, list[Tensor]]],
    variables: Sequence[Variable],
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    leaves = [variable.value for variable in variables]
    # It has weights as they were before something was assigned to them.
    torch.clear_autocast_cache()
    with torch.enable_grad():
        total, others = function()
    gradients: Sequence[Any] = [None] * len(leaves)
    if total.requires_grad:
        gradients = torch.autograd.grad(total, leaves, allow_unused=True)
    return (
        total.detach(),
        [other.detach() for other in others],
        [
            torch.zeros_like(leaf) if gradient is None else gradient
            for leaf, gradient in zip(leaves, gradients, strict=True)
        ],
    )


def live_reach(
    function: Callable[[], list[Tensor]],
    variables: Sequence[Variable],
    run_eagerly: bool,
) -> list[set[int]]:
    with torch.enable_grad():
        losses = function()
    return reached_by(losses, [variable.value for variable in variables])


def evaluate_live(
    function: Callable[[Any], list[Tensor]],
    variables: Sequence[Variable],
    data: Any,
    run_eagerly: bool,
) -> Any:
    with torch.no_grad(), alone(), full_precision():
        return to_host(function(data))


def peek(iterator: Any, count: int) -> tuple[Any, Any]:
    return iterator[0], iterator


def autocast_dtypes() -> list[str]:
    return [
        str(torch.get_autocast_dtype(device)).removeprefix("torch.")
        for device in ("cpu", "cuda")
        if torch.is_autocast_enabled(device)
    ]
