"""torch: the step in the trainer, and what it assigns."""

import ctypes
import functools
import os
import platform
import weakref
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import torch

from keras_mtl.backend import common
from keras_mtl.backend.common import assign
from keras_mtl.backend.torch import RandomReplay
from keras_mtl.backend.torch_layout import take_layouts
from keras_mtl.backend.torch_precision import full_precision
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable

__all__ = [
    "TrainStepFrame",
    "commit",
]

#: Parameters of glibc's `mallopt`.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3

#: Blocks below so many bytes come from the heap: the most that glibc takes.
BLOCKS_OF_THE_HEAP = 2**25

#: So many bytes at the end of the heap are kept while they are free.
KEPT_FREE = 2**28


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

    glibc takes large blocks from the system, one by one, and gives the end of
    the heap back to it when a little of that is free: each pass gets its
    memory anew, page by page, a fifth of the time on a LeNet. See mallopt(3).
    Settings of the user's, in the environment, stay.
    """
    settings = ("GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_")
    if platform.libc_ver()[0] == "glibc" and os.environ.keys().isdisjoint(
        settings
    ):
        glibc = ctypes.CDLL(None)
        glibc.mallopt(M_MMAP_THRESHOLD, BLOCKS_OF_THE_HEAP)
        glibc.mallopt(M_TRIM_THRESHOLD, KEPT_FREE)


class TrainStepFrame(common.TrainStepFrame):
    """Runs the step where Keras's trainer expects `train_step`."""

    # The plan whose variables were laid out, while it is in use.
    _laid_out: Callable[[], Any] = staticmethod(lambda: None)

    def train_step(self, data: Any) -> Any:
        if self.strategy is None:
            return super().train_step(data)
        _keep_freed_memory()
        with torch.no_grad(), full_precision():
            self._lay_out(data)
            return self.run_task_step(data)

    def _lay_out(self, data: Any) -> None:
        """Lays variables out in memory before the first step of a plan.

        Not after it: the sums of all steps are in one order, and training
        goes on from a file as if there had been none.
        """
        plan = self.training_plan
        if plan is None or plan is self._laid_out():
            return
        with RandomReplay()():
            variables, gradients = self.plain_gradients(data)
        take_layouts(
            variables,
            gradients,
            [*self.optimizer.variables, *plan.strategy.variables],
        )
        self._laid_out = weakref.ref(plan)

    def before_look(self, *state: Any) -> None:
        _keep_freed_memory()
