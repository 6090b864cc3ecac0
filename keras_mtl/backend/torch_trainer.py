"""torch: the step in the trainer, and what it assigns."""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import torch

from keras_mtl.backend import common
from keras_mtl.backend.common import assign
from keras_mtl.backend.torch_precision import full_precision
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable

__all__ = [
    "TrainStepFrame",
    "commit",
]

#: The largest block, in bytes, whose size glibc remembers: 32 MiB, less what
#: it keeps beside the block.
LARGEST_BLOCK = 2**25 - 2**13


def commit(
    optimizer: keras.optimizers.Optimizer,
    gradients: list[Tensor],
    variables: list[Variable],
    assignments: Sequence[tuple[Variable, Tensor]],
    *,
    proceed: Tensor | None = None,
    keep: Tensor | None = None,
) -> bool:
    # Each reading waits for the device.
    proceeds = proceed is None or bool(proceed)
    keeps = proceeds if keep is proceed else keep is None or bool(keep)
    with torch.no_grad():
        if proceeds:
            optimizer.apply(gradients, variables)
        if keeps:
            assign(assignments)
    return proceed is not None and proceeds


@functools.cache
def _keep_freed_memory() -> None:
    """Lets what one pass frees serve the next one, on CPUs, from here on.

    glibc gives the end of the heap back to the system when more of it is free
    than twice the largest block that a program has freed, and each pass gets
    its memory anew, page by page: a fifth of the time on a LeNet. So one large
    block is freed, which is never touched: once, and before the first pass,
    because a later one lies at the end of the heap and makes glibc give that
    back. See `M_MMAP_THRESHOLD` in mallopt(3).
    """
    torch.empty(LARGEST_BLOCK, dtype=torch.uint8, device="cpu")


class TrainStepFrame(common.TrainStepFrame):
    """Runs the step where Keras's trainer expects `train_step`."""

    def train_step(self, data: Any) -> Any:
        if self.strategy is None:
            return super().train_step(data)
        _keep_freed_memory()
        with torch.no_grad(), full_precision():
            return self._run_step(data)

    def before_look(self, *state: Any) -> None:
        _keep_freed_memory()
