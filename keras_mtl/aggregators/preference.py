"""A preference vector: how much each task counts."""

from collections.abc import Sequence
from typing import Any

from keras_mtl.aggregators.aggregator import GramianAggregator
from keras_mtl.arguments import as_list
from keras_mtl.arguments import check_size
from keras_mtl.arguments import checked_preference
from keras_mtl.solvers.namespace import run
from keras_mtl.solvers.symmetric import present_tasks
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor


class PreferenceAggregator(GramianAggregator):
    """Base class of methods whose weights follow from a preference vector.

    Subclasses implement `preferred_weights(xp, gramian, shares, mask)`.

    Args:
        preference: One number per task, at least 0 and not all of them 0, or
            `None` for equal ones. Defaults to `None`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Raises:
        ValueError: If `preference` is anything else.
    """

    def __init__(
        self, preference: Sequence[float] | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.preference = checked_preference("preference", preference)
        self._other_preference: tuple[float, ...] | None = None

    def set_preference(self, preference: Sequence[float]) -> None:
        """Takes a preference from elsewhere, which is not part of the config.

        Args:
            preference: One number per task.
        """
        self._other_preference = checked_preference("preference", preference)

    def compute_weights(
        self,
        gramian: Tensor,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        preference = self._other_preference or self.preference
        check_size("preference", preference, gramian.shape[0])

        def solve(
            xp: Namespace, gramian: Tensor, mask: Tensor | None
        ) -> Tensor:
            present = xp.cast(present_tasks(xp, gramian, mask), gramian.dtype)
            shares = preference_shares(xp, preference, present)
            return self.preferred_weights(xp, gramian, shares, mask)

        return run(solve, gramian, mask)

    def preferred_weights(
        self,
        xp: Namespace,
        gramian: Tensor,
        shares: Tensor,
        mask: Tensor | None,
    ) -> Tensor:
        """Returns the weights of the rows.

        Args:
            xp: Namespace of array functions.
            gramian: Tensor `[K, K]`.
            shares: Tensor `[K]`, the preference over present tasks.
            mask: Optional tensor `[K]`, positive for present tasks.

        Returns:
            Tensor `[K]`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not implement `preferred_weights`."
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "preference": as_list(self.preference)}


def preference_shares(
    xp: Namespace, preference: tuple[float, ...] | None, present: Tensor
) -> Tensor:
    """Returns the preference over the present tasks, `[K]`.

    Args:
        xp: Namespace of array functions.
        preference: What `checked_preference` returned.
        present: Tensor `[K]`, 1 for present tasks, 0 for absent.

    Returns:
        Tensor `[K]`: without a preference, 1 divided by the number of present
        tasks; else the given numbers as they are, 0 for absent tasks.
    """
    if preference is None:
        return present / xp.maximum(xp.sum(present), 1.0)
    return xp.stack([present[k] * value for k, value in enumerate(preference)])
