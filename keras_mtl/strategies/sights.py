"""What a step sees of the tasks, kept for those who watch it."""

import dataclasses
from typing import Any

from keras import ops

from keras_mtl.aggregators.jacobian import Jacobian


@dataclasses.dataclass
class Sights:
    """What a step saw of the tasks.

    Attributes:
        weights: Tensor `[K]`, the balancer's weights.
        row_weights: Tensor `[K]` of weights that the aggregator gave the
            rows, or `None` if it has none.
        gramians: Gramian `[K, K]` of the clean rows as `"loss"`, and of what
            the perturbed ones add to them as `"flat"`, as far as there are
            any. The rows are gradients times the balancer's weights.
        inner_products: Tensor `[K]` of inner products between both parts of
            each task, or `None`.
    """

    weights: Any
    row_weights: Any = None
    gramians: dict[str, Any] = dataclasses.field(default_factory=dict)
    inner_products: Any = None


class Watcher:
    """Gathers the sights of a step, or nothing while nobody watches.

    Attributes:
        enabled: Whether somebody watches: steps that are not watched compute
            nothing for it.
    """

    def __init__(self):
        self.enabled = False
        self._sights: Sights | None = None

    def begin(self, weights: Any) -> None:
        """Starts a step with the balancer's weights `[K]`."""
        self._sights = Sights(weights) if self.enabled else None

    def end(self) -> Sights | None:
        """Hands over what was seen since `begin`."""
        sights, self._sights = self._sights, None
        return sights

    def note_rows(self, part: str, jacobian: Jacobian, mask: Any = None):
        """Keeps the Gramian of rows.

        Called before rows are merged, which may use up their memory.

        Args:
            part: `"loss"` or `"flat"`.
            jacobian: The rows.
            mask: Optional tensor `[K]`, 0 for rows that do not count.
        """
        if self._sights is not None:
            self.note_gramian(part, jacobian.gramian(), mask)

    def note_gramian(self, part: str, gramian: Any, mask: Any = None):
        """Keeps the Gramian of rows, as `note_rows` does."""
        if self._sights is None:
            return
        if mask is not None:
            mask = ops.cast(mask > 0, gramian.dtype)
            gramian = gramian * mask[:, None] * mask[None, :]
        self._sights.gramians[part] = gramian

    def note_flat_rows(self, clean: Jacobian, flat: Jacobian, mask: Any):
        """Keeps what flat parts are like, alone and beside the clean rows.

        Args:
            clean: The clean rows.
            flat: What perturbed rows add to them.
            mask: Tensor `[K]`, 0 for tasks without a flat part.
        """
        if self._sights is None:
            return
        self.note_rows("flat", flat, mask)
        self._sights.inner_products = clean.row_products(flat)

    def note_row_weights(self, weights: Any) -> None:
        """Keeps the weights `[K]` of rows that were merged, if it has any."""
        if self._sights is not None:
            self._sights.row_weights = weights
