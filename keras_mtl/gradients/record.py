"""What a step notes of the tasks, for those who watch it."""

import dataclasses

from keras import ops

from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.typing import Tensor


@dataclasses.dataclass
class Record:
    """What was noted of the tasks in one step.

    Attributes:
        weights: Tensor `[K]`, the balancer's weights.
        row_weights: Tensor `[K]` of weights that the aggregator gave the
            rows, or `None` if it has none.
        gramians: Gramian `[K, K]` of the clean rows as `"loss"`, and of what
            the perturbed ones add to them as `"flat"`, as far as there are
            any. The rows are gradients times the balancer's weights.
        inner_products: Tensor `[K]` of inner products between both parts of
            each task, or `None`.
        taken: Bool scalar: gradients were taken task by task in this step.
            `None` if they always are.
    """

    weights: Tensor
    row_weights: Tensor | None = None
    gramians: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    inner_products: Tensor | None = None
    taken: Tensor | None = None


class Recorder:
    """Makes the record of a step, or nothing while nobody watches.

    Attributes:
        enabled: Whether somebody watches: steps that are not watched compute
            nothing for it.
    """

    def __init__(self) -> None:
        self.enabled = False
        self._record: Record | None = None

    def begin(self, weights: Tensor) -> None:
        """Starts a step with the balancer's weights `[K]`."""
        self._record = Record(weights) if self.enabled else None

    def end(self) -> Record | None:
        """Hands over what was noted since `begin`."""
        record, self._record = self._record, None
        return record

    def rows(
        self, part: str, jacobian: Jacobian, mask: Tensor | None = None
    ) -> None:
        """Notes the Gramian of rows.

        Called before rows are merged, which may use up their memory.

        Args:
            part: `"loss"` or `"flat"`.
            jacobian: The rows.
            mask: Optional tensor `[K]`, 0 for rows that do not count.
        """
        if self._record is not None:
            self.gramian(part, jacobian.gramian(), mask)

    def gramian(
        self,
        part: str,
        gramian: Tensor,
        mask: Tensor | None = None,
        taken: Tensor | None = None,
    ) -> None:
        """Notes the Gramian of rows, as `rows` does.

        Args:
            part: As for `rows`.
            gramian: The Gramian.
            mask: As for `rows`.
            taken: Bool scalar: it was taken in this step. `None` if it always
                is.
        """
        if self._record is None:
            return
        if mask is not None:
            mask = ops.cast(mask > 0, gramian.dtype)
            gramian = gramian * mask[:, None] * mask[None, :]
        self._record.gramians[part] = gramian
        self._record.taken = taken

    def flat_rows(self, clean: Jacobian, flat: Jacobian, mask: Tensor) -> None:
        """Notes what flat parts are like, alone and beside the clean rows.

        Args:
            clean: The clean rows.
            flat: What perturbed rows add to them.
            mask: Tensor `[K]`, 0 for tasks without a flat part.
        """
        if self._record is None:
            return
        self.rows("flat", flat, mask)
        self._record.inner_products = clean.row_products(flat)

    def row_weights(self, weights: Tensor) -> None:
        """Notes the weights `[K]` of rows that were merged, if any."""
        if self._record is not None:
            self._record.row_weights = weights
