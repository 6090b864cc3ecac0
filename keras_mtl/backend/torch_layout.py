"""torch: gradients and weights in the order in memory that suits both.

Keras keeps the kernels of convolutions with the output channels last, torch's
convolutions want them first, and give gradients in that order: tensors of the
variable's shape with other strides. Arithmetic between two orders is slow, and
turning a large kernel around takes longer than a small batch's convolution. So
variables take the order of their gradients once, after which a step has no
copies of kernels. Shapes and values stay what they are.
"""

from collections.abc import Iterable
from collections.abc import Sequence

import torch

from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable

__all__ = [
    "as_matrices",
    "as_vectors",
    "combine_rows",
    "stack_rows",
]


def is_dense(tensor: Tensor) -> bool:
    """Whether the entries fill a block of memory, each with its own place."""
    if tensor.is_contiguous():
        return True
    expected = 1
    for stride, size in sorted(_strides(tensor)):
        if stride != expected:
            return False
        expected *= size
    return True


def have_one_layout(tensors: Sequence[Tensor]) -> bool:
    """Whether tensors of one shape have their entries in one order."""
    first = tensors[0].stride()
    return all(
        tensor.stride() == first or _strides(tensor) == _strides(tensors[0])
        for tensor in tensors[1:]
    )


def _strides(tensor: Tensor) -> list[tuple[int, int]]:
    """Stride and size of the axes; those of one entry have no stride."""
    return [
        (stride, size)
        for stride, size in zip(tensor.stride(), tensor.shape, strict=True)
        if size != 1
    ]


def axes_in_memory(tensor: Tensor, first: int = 0) -> list[int]:
    """The axes from `first` on, from the largest stride to the smallest."""
    strides = tensor.stride()
    return sorted(range(first, tensor.ndim), key=lambda axis: -strides[axis])


def in_memory_order(tensor: Tensor) -> Tensor:
    """A view whose axes come in the order in which memory has them."""
    return tensor.permute(axes_in_memory(tensor))


def as_vectors(tensors: Sequence[Tensor]) -> list[Tensor]:
    if have_one_layout(tensors):
        axes = axes_in_memory(tensors[0])
        tensors = [tensor.permute(axes) for tensor in tensors]
    return [tensor.reshape(-1) for tensor in tensors]


def as_matrices(stacks: Sequence[Tensor]) -> list[Tensor]:
    if have_one_layout(stacks):
        axes = (0, *axes_in_memory(stacks[0], first=1))
        stacks = [stack.permute(axes) for stack in stacks]
    return [stack.reshape(stack.shape[0], -1) for stack in stacks]


def combine_rows(weights: Tensor, stack: Tensor) -> Tensor:
    (matrix,) = as_matrices([stack])
    axes = axes_in_memory(stack, first=1)
    row = (weights @ matrix).reshape([stack.shape[axis] for axis in axes])
    return row.permute([axes.index(axis) for axis in range(1, stack.ndim)])


def new_stack(tensor: Tensor, count: int) -> Tensor:
    """Returns room for a number of tensors like this one, each laid out so."""
    if not is_dense(tensor):
        return tensor.new_empty((count, *tensor.shape))
    return tensor.new_empty_strided(
        (count, *tensor.shape), (tensor.numel(), *tensor.stride())
    )


def stack_rows(tensors: Sequence[Tensor]) -> Tensor:
    stack = new_stack(tensors[0], len(tensors))
    for place, tensor in zip(stack, tensors, strict=True):
        place.copy_(tensor)
    return stack


def take_layouts(
    variables: Sequence[Variable],
    gradients: Sequence[Tensor],
    others: Iterable[Variable],
) -> None:
    """Lays variables out in memory as their gradients come.

    Args:
        variables: Trainable variables.
        gradients: Their gradients.
        others: Variables of which those of the same shapes, or of one such
            tensor per task, are to follow.
    """
    moved = {}
    for variable, gradient in zip(variables, gradients, strict=True):
        strides = gradient.stride()
        if is_dense(gradient) and _take_layout(variable, strides):
            moved[tuple(variable.shape)] = strides
    # Which weight an optimizer's variable belongs to is not public. Of the
    # same shape is enough: the wrong layout is slower, not wrong.
    for other in others:
        shape = tuple(other.shape)
        if shape in moved:
            _take_layout(other, moved[shape])
        elif shape[1:] in moved:
            size = other.value[0].numel()
            _take_layout(other, (size, *moved[shape[1:]]))


def _take_layout(variable: Variable, strides: tuple[int, ...]) -> bool:
    value = variable.value
    if value.stride() == strides:
        return False
    with torch.no_grad():
        laid_out = torch.empty_strided(
            value.shape, strides, dtype=value.dtype, device=value.device
        )
        if have_one_layout([value, laid_out]):
            return False
        # The same parameter, so that whoever holds it sees the new values.
        value.data = laid_out.copy_(value)
    return True
