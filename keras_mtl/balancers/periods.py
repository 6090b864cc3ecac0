"""Balancers that compare the average losses of epochs."""

from collections.abc import Iterable
from typing import Any

from keras import ops

from keras_mtl.arguments import checked_integer
from keras_mtl.balancers.balancer import Balancer
from keras_mtl.balancers.masked import presence
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable


class PeriodicBalancer(Balancer):
    """Base class of balancers with a memory of average losses.

    A balancer sees one step after the other. What it calls an epoch ends
    where it is told, by `end_epoch()`, or after a fixed number of steps.

    Subclasses create their state in `build_history`, call `take_note` once in
    each step and implement `record`, which says what the state is after an
    epoch.

    Args:
        steps_per_epoch: Number of steps, or `None` for `end_epoch()`.
        **kwargs: Passed on to `keras_mtl.balancers.Balancer`.
    """

    #: Whether averages are taken at all.
    keeps_history: Any = True

    def __init__(self, steps_per_epoch: int | None, **kwargs: Any):
        super().__init__(**kwargs)
        if steps_per_epoch is not None:
            checked_integer("steps_per_epoch", steps_per_epoch)
        self.steps_per_epoch = steps_per_epoch

    def build_state(self, num_tasks: int, dtype: str) -> None:
        if not self.keeps_history:
            return
        self.sums = self.add_state("sums", (num_tasks,), dtype)
        self.counts = self.add_state("counts", (num_tasks,), dtype)
        if self.steps_per_epoch is not None:
            self.step = self.add_state("step", dtype="int32")
        self.build_history(num_tasks, dtype)

    def build_history(self, num_tasks: int, dtype: str) -> None:
        """Creates the state that `record` updates."""

    def record(
        self, averages: Tensor, seen: Tensor
    ) -> Iterable[tuple[Variable, Tensor]]:
        """Returns the state after an epoch.

        Args:
            averages: Tensor `[K]` of the average losses of the epoch.
            seen: Boolean tensor `[K]`: False for tasks that were absent
                throughout; their average says nothing.

        Returns:
            Pairs of a variable and its new value.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not implement `record`."
        )

    def take_note(self, losses: Tensor, mask: Tensor | None = None) -> None:
        """Adds the losses of a step, and ends the epoch if it was the last."""
        losses = ops.cast(losses, self.sums.dtype)
        present = presence(losses, mask)
        losses = ops.where(present > 0, losses, 0.0)
        sums = ops.convert_to_tensor(self.sums) + losses
        counts = ops.convert_to_tensor(self.counts) + present
        if self.steps_per_epoch is None:
            self.sums.assign(sums)
            self.counts.assign(counts)
            return
        step = ops.convert_to_tensor(self.step) + 1
        is_over = ops.equal(step, self.steps_per_epoch)
        self.step.assign(ops.where(is_over, ops.zeros_like(step), step))
        self._close(sums, counts, is_over)

    def end_epoch(self) -> None:
        if self.built and self.keeps_history and self.steps_per_epoch is None:
            # A copy: torch assigns in place.
            sums, counts = self.sums.value * 1, self.counts.value * 1
            self._close(sums, counts, ops.convert_to_tensor(True))

    def _close(self, sums: Tensor, counts: Tensor, is_over: Tensor) -> None:
        """Assigns the state of after the epoch where it is over."""
        seen = counts > 0
        averages = sums / ops.where(seen, counts, 1.0)
        pairs = list(self.record(averages, seen))
        pairs += [
            (self.sums, ops.zeros_like(sums)),
            (self.counts, ops.zeros_like(counts)),
        ]
        before = {id(self.sums): sums, id(self.counts): counts}
        results = [
            ops.where(
                is_over,
                value,
                before.get(id(variable), ops.convert_to_tensor(variable)),
            )
            for variable, value in pairs
        ]
        # All computed before the first is assigned, in place on torch.
        for (variable, _), result in zip(pairs, results, strict=True):
            variable.assign(result)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "steps_per_epoch": self.steps_per_epoch}
