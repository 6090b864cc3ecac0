"""torch: derivatives by samples, by graphs that can be differentiated."""

from collections.abc import Callable
from collections.abc import Sequence

import torch

from keras_mtl.backend.torch import twice_differentiable
from keras_mtl.typing import Tensor

__all__ = ["sample_derivatives", "sample_gradient"]


def sample_derivatives(
    function: Callable[[Tensor], Tensor],
    x: Tensor,
    order: int,
    columns: Sequence[int],
) -> list[Tensor] | None:
    is_on = torch.is_grad_enabled()
    with torch.enable_grad(), twice_differentiable():
        at = _watched(x)
        found = _slopes(function(at), at, columns, is_on or order > 1)
        if found is None:
            return None
        for done in range(1, order):
            keep = is_on or done + 1 < order
            found = [
                # What is constant by now has none.
                (_slopes(slope, at, [column], keep) or [slope * 0])[0]
                for slope, column in zip(found, columns, strict=True)
            ]
    return found if is_on else [slope.detach() for slope in found]


def sample_gradient(
    function: Callable[[Tensor], Tensor], x: Tensor
) -> Tensor | None:
    is_on = torch.is_grad_enabled()
    with torch.enable_grad(), twice_differentiable():
        at = _watched(x)
        gradient = _gradient(function(at), at, is_on)
    if gradient is None or is_on:
        return gradient
    return gradient.detach()


def _watched(x: Tensor) -> Tensor:
    """A tensor of its own, by which can be differentiated."""
    x = torch.as_tensor(x)
    return x.clone() if x.requires_grad else x.detach().requires_grad_(True)


def _slopes(
    output: Tensor, at: Tensor, columns: Sequence[int], create_graph: bool
) -> list[Tensor] | None:
    """Derivatives of a tensor `[n, ...]` by some columns, if there are any."""
    if all(size == 1 for size in output.shape[1:]):
        gradient = _gradient(output, at, create_graph)
        if gradient is None:
            return None
        return [gradient[:, column].reshape(output.shape) for column in columns]
    # Gradients are linear in their seeds, by which they are differentiated:
    # one more pass for each column.
    seeds = torch.ones_like(output).requires_grad_(True)
    gradient = _gradient(output, at, True, seeds)
    if gradient is None:
        return None
    return [
        torch.autograd.grad(
            gradient[:, column],
            seeds,
            grad_outputs=torch.ones_like(gradient[:, column]),
            create_graph=create_graph,
            retain_graph=True,
        )[0]
        for column in columns
    ]


def _gradient(
    output: Tensor, at: Tensor, create_graph: bool, seeds: Tensor | None = None
) -> Tensor | None:
    if not output.requires_grad:
        return None
    (gradient,) = torch.autograd.grad(
        output,
        at,
        grad_outputs=torch.ones_like(output) if seeds is None else seeds,
        create_graph=create_graph,
        retain_graph=True,
        allow_unused=True,
    )
    return gradient
