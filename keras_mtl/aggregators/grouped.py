"""One aggregation per group of variables."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from keras_mtl.aggregators.aggregator import Aggregator
from keras_mtl.aggregators.wrapping import WrappingAggregator
from keras_mtl.export import keras_mtl_export
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.aggregators.Grouped")
class Grouped(WrappingAggregator):
    """Merges the gradients of groups of variables apart from each other.

    Tasks may agree in the first layers of a network and be in conflict in the
    last ones: with an aggregation per group each part of the network gets
    weights of its own. Each group has an aggregator, with state and random
    numbers of its own. The Gramians together cost what one of all variables
    does; the method runs once per group.

    `keras_mtl.Strategy(aggregator, granularity="layer")` makes it.

    Args:
        aggregator: The aggregator of the first group, its name or config; the
            others get siblings of it.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If `aggregator` is no aggregator.

    Example:

    ```python
    grouped = keras_mtl.aggregators.Grouped(keras_mtl.aggregators.MGDA())
    # Each tensor of the list is a group where nobody says otherwise.
    left, right = np.array([[1.0], [-1.0]]), np.array([[2.0], [2.0]])
    grouped([left, right])  # [[0.0], [2.0]]
    ```
    """

    def __init__(self, aggregator: Aggregator | str | dict, **kwargs: Any):
        super().__init__(aggregator, **kwargs)
        inner = self.aggregator
        self.samples = inner.samples
        self.needs_losses = inner.needs_losses
        self.min_tasks = inner.min_tasks
        self.keeps_rows = inner.keeps_rows
        self.members: list[Aggregator] = []
        self._groups: tuple[tuple[int, ...], ...] = ()
        self._preference: tuple[float, ...] | None = None

    def set_groups(self, groups: Sequence[Sequence[int]]) -> None:
        """Says which variables are merged together; call it before `build`.

        Args:
            groups: Lists of indices of the variables, each in one of them.
        """
        # Tuples: Keras wraps lists, which `torch.compile` does not take.
        self._groups = tuple(tuple(group) for group in groups)

    def set_preference(self, preference: Sequence[float]) -> None:
        self.aggregator.set_preference(preference)
        self._preference = tuple(preference)

    def build(
        self, shapes: Sequence[tuple[int, ...]], dtype: str = "float32"
    ) -> None:
        if not self._groups:
            self.set_groups([[index] for index in range(len(shapes))])
        self.members = [
            self.aggregator,
            *(
                self.aggregator.sibling(100 + place)
                for place in range(1, len(self._groups))
            ),
        ]
        for member, group in zip(self.members, self._groups, strict=False):
            if self._preference is not None:
                member.set_preference(self._preference)
            member.build([shapes[i] for i in group], dtype)
        self.built = True

    def aggregate(
        self,
        jacobian: Jacobian,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> list[Tensor]:
        return self._of_groups(
            jacobian.num_variables,
            lambda member, group: member.aggregate(
                jacobian.of_variables(group), losses, mask
            ),
        )

    def aggregate_samples(
        self,
        jacobians: Sequence[Jacobian],
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> list[Tensor]:
        return self._of_groups(
            jacobians[0].num_variables,
            lambda member, group: member.aggregate_samples(
                [jacobian.of_variables(group) for jacobian in jacobians],
                losses,
                mask,
            ),
        )

    def _of_groups(
        self, num_variables: int, merge: Callable[..., list[Tensor]]
    ) -> list[Tensor]:
        """Puts the results of the groups where their variables are."""
        update = [None] * num_variables
        for member, group in self.parts():
            for i, part in zip(group, merge(member, group), strict=True):
                update[i] = part
        return update

    def parts(self) -> list[tuple[Aggregator, tuple[int, ...]]]:
        """The aggregator of each group, and the indices of its variables."""
        return list(zip(self.members, self._groups, strict=False))

    def observe(
        self, losses: Tensor, new_losses: Tensor, mask: Tensor | None = None
    ) -> None:
        for member in self.members:
            member.observe(losses, new_losses, mask)

    def end_epoch(self) -> None:
        for member in self.members:
            member.end_epoch()

    def notices(self) -> list[str]:
        return [
            notice for member in self.members for notice in member.notices()
        ]

    def expect_state(self, is_in_file: bool) -> None:
        super().expect_state(is_in_file)
        for member in self.members:
            member.expect_state(is_in_file)

    def state_reset(self) -> None:
        for member in self.members:
            member.state_reset()
