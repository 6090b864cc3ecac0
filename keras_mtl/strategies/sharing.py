"""Who takes part where shared variables are merged."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_mtl.aggregators import Aggregator
from keras_mtl.aggregators import GramianAggregator
from keras_mtl.aggregators.aggregator import WEIGHTING
from keras_mtl.aggregators.grouped import Grouped
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.typing import Tensor


class Sharing:
    """Which tasks reach which shared variables.

    What is merged together is a group of variables: all of them, or with
    `granularity` those of a layer, say. In a group the tasks take part that
    are present and reach some of it. A variable that a single present task
    reaches is, for this step, that task's own: it follows its gradient, and
    no other variable's update depends on it. So a step without labels for a
    task is the one of a model without it.

    Within a group a task has zeros for variables that it does not reach.

    Args:
        num_tasks: Number of tasks K.
        reach: For each shared variable, the indices of two or more tasks.
        groups: Indices of the variables of each group, or `None` for one.
    """

    def __init__(
        self,
        num_tasks: int,
        reach: Sequence[Iterable[int]],
        groups: Sequence[Sequence[int]] | None = None,
    ):
        self.settle(num_tasks, reach, groups)

    def settle(
        self,
        num_tasks: int,
        reach: Sequence[Iterable[int]],
        groups: Sequence[Sequence[int]] | None = None,
    ) -> None:
        """Takes the model that a plan is made for.

        Args:
            num_tasks: Number of tasks K.
            reach: For each shared variable, the indices of tasks.
            groups: Indices of the variables of each group, or `None` for one.
        """
        self.num_tasks = num_tasks
        self.groups = groups
        #: Sets of tasks that reach a variable, each once.
        self.patterns: list[tuple[int, ...]] = []
        #: For each variable, the index of its pattern.
        self.pattern_of: list[int] = []
        for tasks in reach:
            pattern = tuple(sorted(tasks))
            if pattern not in self.patterns:
                self.patterns.append(pattern)
            self.pattern_of.append(self.patterns.index(pattern))

    @classmethod
    def of_all(cls, num_tasks: int, num_variables: int) -> "Sharing":
        """All tasks reach all variables, which are one group."""
        return cls(num_tasks, [range(num_tasks)] * num_variables)

    @property
    def is_full(self) -> bool:
        """Whether all tasks reach all variables."""
        everyone = tuple(range(self.num_tasks))
        return all(pattern == everyone for pattern in self.patterns)

    def reached_by(self, task: int | None) -> list[bool]:
        """For each variable, whether a task reaches it, or any does.

        Args:
            task: Index of the task, or `None` for any.
        """
        return [
            task is None or task in self.patterns[p] for p in self.pattern_of
        ]

    def is_plain(self, mask: Tensor | None) -> bool:
        """Whether all tasks take part everywhere."""
        return not self.patterns or (mask is None and self.is_full)

    def merge(
        self,
        merger: Aggregator,
        jacobian: Jacobian,
        losses: Tensor,
        mask: Tensor | None,
    ) -> list[Tensor]:
        """Merges task gradients of the shared variables.

        Args:
            merger: The aggregator, or what applies it to groups.
            jacobian: The rows.
            losses: Tensor `[K]` of task losses.
            mask: Tensor `[K]`, 1 for present tasks, or `None` if all are.
        """
        if self.is_plain(mask):
            return merger.aggregate(jacobian, losses, mask)

        def merge_part(
            member: Any,
            part: Jacobian,
            present: Tensor | None,
            switches: list[Tensor] | None,
        ) -> list[Tensor]:
            if not isinstance(member, GramianAggregator) or (
                type(member).aggregate not in WEIGHTING
            ):
                return self._merge_rows(
                    lambda rows: member.aggregate(rows, losses, present),
                    [part],
                    mask,
                    switches,
                )
            rows = part
            if switches is not None and len({id(s) for s in switches}) > 1:
                rows = part.switched(switches)
            weights = member.weigh(rows, losses, present)
            if switches is None:
                return part.combine(weights)
            merged = part.combine_each(
                [ops.where(s, weights, _like(mask, weights)) for s in switches]
            )
            part.row_weights = weights
            return merged

        return self._by_group(merger, [jacobian], mask, merge_part)

    def merge_samples(
        self,
        merger: Aggregator,
        jacobians: Sequence[Jacobian],
        losses: Tensor,
        mask: Tensor | None,
    ) -> list[Tensor]:
        """Merges task gradients of independent samples, as `merge` does."""
        if self.is_plain(mask):
            return merger.aggregate_samples(jacobians, losses, mask)

        def merge_part(member: Any, *arguments: Any) -> list[Tensor]:
            *parts, present, switches = arguments
            return self._merge_rows(
                lambda *rows: member.aggregate_samples(rows, losses, present),
                parts,
                mask,
                switches,
            )

        return self._by_group(merger, jacobians, mask, merge_part)

    def _by_group(
        self,
        merger: Aggregator,
        jacobians: Sequence[Jacobian],
        mask: Tensor | None,
        merge_part: Callable[..., list[Tensor]],
    ) -> list[Tensor]:
        """Puts what the groups give where their variables are."""
        switches = self.switches(mask)
        update = [None] * len(self.pattern_of)
        for member, group in self._parts(merger):
            whole = len(group) == len(self.pattern_of)
            parts = [j if whole else j.of_variables(group) for j in jacobians]
            merged = merge_part(
                member,
                *parts,
                self.participants(mask, jacobians[0].dtype, group),
                None if switches is None else [switches[i] for i in group],
            )
            for i, part in zip(group, merged, strict=True):
                update[i] = part
        return update

    def _parts(
        self, merger: Aggregator
    ) -> Sequence[tuple[Aggregator, Sequence[int]]]:
        if isinstance(merger, Grouped):
            return merger.parts()
        everything = range(len(self.pattern_of))
        if merger.linear and self.groups is not None:
            return [(merger, group) for group in self.groups]
        return [(merger, everything)]

    def _merge_rows(
        self,
        merge: Callable[..., list[Tensor]],
        parts: Sequence[Jacobian],
        mask: Tensor,
        switches: list[Tensor] | None,
    ) -> list[Tensor]:
        if switches is None:
            return merge(*parts)
        # Before the rows are used up.
        alone = [part.combine(mask) for part in parts]
        several = len({id(switch) for switch in switches}) > 1
        rows = [part.switched(switches) if several else part for part in parts]
        merged = merge(*rows)
        for part, row in zip(parts, rows, strict=True):
            part.row_weights = row.row_weights
        return [
            ops.where(switch, together, sum(of_one) / len(parts))
            for switch, together, *of_one in zip(
                switches, merged, *alone, strict=True
            )
        ]

    # -------------------------------------------------------- weights

    def switches(self, mask: Tensor | None) -> list[Tensor] | None:
        """For each variable, a bool scalar: several present tasks reach it.

        Variables of one pattern have the same tensor. `None` if all are
        present.
        """
        if mask is None:
            return None
        flags = [
            ops.greater(sum(mask[k] for k in pattern), 1.5)
            for pattern in self.patterns
        ]
        return [flags[pattern] for pattern in self.pattern_of]

    def participants(
        self,
        mask: Tensor | None,
        dtype: str,
        group: Iterable[int] | None = None,
    ) -> Tensor:
        """Which tasks take part in a group, `[K]`, or `None` for all.

        Args:
            mask: Tensor `[K]`, 1 for present tasks, or `None` if all are.
            dtype: Dtype of the result.
            group: Indices of the variables, or `None` for all.
        """
        if group is None:
            group = range(len(self.pattern_of))
        patterns = dict.fromkeys(self.pattern_of[i] for i in group)
        if mask is None or not patterns:
            reached = {k for p in patterns for k in self.patterns[p]}
            if len(reached) in (0, self.num_tasks):
                return mask
            return ops.convert_to_tensor(
                [float(k in reached) for k in range(self.num_tasks)], dtype
            )
        mask = ops.cast(mask, dtype)
        taking = ops.zeros_like(mask)
        for p in patterns:
            tasks = self.patterns[p]
            part = mask
            if len(tasks) < self.num_tasks:
                part = mask * ops.convert_to_tensor(
                    [float(k in tasks) for k in range(self.num_tasks)], dtype
                )
            several = ops.greater(ops.sum(part), 1.5)
            taking = ops.maximum(taking, ops.where(several, part, 0.0 * part))
        return taking

    def weights_by_variable(
        self, weigh: Callable[..., Tensor], mask: Tensor | None, dtype: str
    ) -> list[tuple[Tensor, list[int]]]:
        """Row weights where they do not depend on the rows of a variable.

        Args:
            weigh: Function from the participants `[K]` or `None` to one
                weight `[K]` per task.
            mask: Tensor `[K]`, 1 for present tasks, or `None` if all are.
            dtype: Dtype of the weights.

        Returns:
            Pairs of weights and the indices of the variables that have them.
        """
        switches = self.switches(mask)
        classes: dict[Any, tuple[Tensor, list[int]]] = {}
        everything = list(range(len(self.pattern_of)))
        for group in self.groups or [everything]:
            patterns = frozenset(self.pattern_of[i] for i in group)
            weights = None
            for i in group:
                key = (patterns, None if mask is None else self.pattern_of[i])
                if key not in classes:
                    if weights is None:
                        weights = weigh(self.participants(mask, dtype, group))
                    chosen = weights
                    if switches is not None:
                        alone = _like(mask, weights)
                        chosen = ops.where(switches[i], weights, alone)
                    classes[key] = (chosen, [])
                classes[key][1].append(i)
        return list(classes.values())


def _like(mask: Tensor, weights: Tensor) -> Tensor:
    return ops.cast(mask, weights.dtype)
