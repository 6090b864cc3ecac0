"""A strategy: balancer, flatness regularizer and aggregator in a row."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl import aggregators
from keras_mtl import balancers
from keras_mtl import flatness as flatness_family
from keras_mtl.aggregators import Aggregator
from keras_mtl.aggregators.jacobian import Jacobian
from keras_mtl.balancers import Balancer
from keras_mtl.component import Component
from keras_mtl.export import keras_mtl_export
from keras_mtl.flatness import Flatness
from keras_mtl.strategies.nearby import Nearby
from keras_mtl.strategies.passes import ForwardPass
from keras_mtl.strategies.passes import TaskGradients
from keras_mtl.strategies.passes import Update

ON_NONFINITE = ("raise", "skip", "ignore")


@keras_mtl_export("keras_mtl.strategies.Strategy")
class Strategy(Component):
    """How K task losses become one update of the weights.

    Every training step runs the same pipeline:

    1. The `balancer` turns the task losses into one weight per task.
    2. One gradient per task, times its weight, is taken at the weights.
    3. The `flatness` regularizer, if any, has them taken again nearby.
    4. The `aggregator` merges the gradients of shared variables into one
       update. Variables that only one task uses get that task's gradient.

    Args:
        balancer: A `keras_mtl.balancers.Balancer`, its name or config.
            Defaults to `None`, which means equal weights.
        flatness: A `keras_mtl.flatness.Flatness`, its name or config, or
            `None` for none. Defaults to `None`.
        aggregator: A `keras_mtl.aggregators.Aggregator`, its name or config.
            Defaults to `None`, which means the sum.
        on_nonfinite: What a step does when a loss or gradient is not finite:
            `"raise"` leaves the model untouched and raises at the end of the
            epoch, `"skip"` leaves it untouched and goes on, `"ignore"`
            applies the step as it is. Defaults to `None`, which means what
            `compile` was told.
        name: Optional name.
        **kwargs: Passed on to `keras.layers.Layer`.

    Raises:
        ValueError: If a component is unknown or an argument out of range.

    Example:

    ```python
    strategy = keras_mtl.Strategy(
        balancer="log",
        flatness=keras_mtl.flatness.TaskSAM(rho=0.05),
        aggregator=keras_mtl.aggregators.CAGrad(c=0.4),
    )
    model.fit(x, y, strategy=strategy)
    ```
    """

    def __init__(
        self,
        balancer: Balancer | str | dict | None = None,
        flatness: Flatness | str | dict | None = None,
        aggregator: Aggregator | str | dict | None = None,
        on_nonfinite: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_on_nonfinite(on_nonfinite, optional=True)
        self.on_nonfinite = on_nonfinite
        self.balancer = balancers.get(balancer) or balancers.Equal()
        self.flatness = flatness_family.get(flatness)
        self.aggregator = aggregators.get(aggregator) or aggregators.Sum()
        self.flat_aggregator = None
        self.outer_aggregator = None
        self.pair_aggregators: list[Aggregator] = []
        self.flat_parts: list[keras.Variable] = []
        self.own_flat_parts: list[keras.Variable] = []
        combine = None if self.flatness is None else self.flatness.combine
        if combine in ("second", "each"):
            self._check_merges_pairs(combine)
        if self.merges_twice:
            # State and seeds of the parts must not mix.
            self.flat_aggregator = self.aggregator.sibling(1)
            if combine == "second":
                self.outer_aggregator = self.aggregator.sibling(2)

    def _check_merges_pairs(self, combine):
        aggregator = self.aggregator
        if not aggregator.needs_losses and aggregator.min_tasks <= 2:
            return
        lacking = (
            "which have no losses"
            if aggregator.needs_losses
            else f"and the method needs {aggregator.min_tasks}"
        )
        raise ValueError(
            f"With combine={combine!r} the aggregator merges pairs of a loss "
            f"part and a flatness part, {lacking}. Use "
            'combine="decomposed" or "direct", or another aggregator. '
            f"Received: aggregator={type(aggregator).__name__}."
        )

    @property
    def merges_twice(self) -> bool:
        """Whether clean gradients and flat parts are aggregated apart.

        With weights that do not depend on the gradients the sum of both
        results is the aggregated SAM gradient, so the parts need not be split.
        """
        return (
            self.flatness is not None
            and not self._is_plain()
            and self.flatness.combine in ("decomposed", "second")
            and not self.aggregator.linear
        )

    @property
    def depends_on_own_variables(self) -> bool:
        """Whether there is state for the tasks' own variables."""
        return self.flatness is not None and (
            self.flatness.reuse or self.flatness.scope == "momentum"
        )

    def build(
        self,
        num_tasks: int,
        shapes: list[tuple[int, ...]],
        dtype: str = "float32",
        own_shapes: Sequence[Sequence[tuple[int, ...]]] = (),
    ) -> None:
        """Creates the state.

        Args:
            num_tasks: Number of tasks K.
            shapes: Shapes of the shared variables.
            dtype: Dtype of the state.
            own_shapes: For each task, shapes of its own variables. Defaults to
                none.
        """
        if num_tasks < self.aggregator.min_tasks:
            raise ValueError(
                f"The aggregator {type(self.aggregator).__name__} needs at "
                f"least {self.aggregator.min_tasks} tasks. The model has "
                f"{num_tasks}."
            )
        every_own = [shape for task in own_shapes for shape in task]
        rows = [(num_tasks, *shape) for shape in shapes]
        pairs = [(2, *shape) for shape in shapes]
        self.balancer.build(num_tasks, dtype)
        self.aggregator.build(rows, dtype)
        if self.flatness is not None:
            self.flatness.build(dtype, [*shapes, *every_own])
            if self.flatness.reuse:
                self.flat_parts = self._zeros("flat_part", shapes, dtype)
                self.own_flat_parts = self._zeros(
                    "own_flat_part", every_own, dtype
                )
            if self.flatness.combine == "each":
                self.pair_aggregators = [
                    self.aggregator.sibling(3 + k) for k in range(num_tasks)
                ]
        if self.flat_aggregator is not None:
            self.flat_aggregator.build(rows, dtype)
        if self.outer_aggregator is not None:
            self.outer_aggregator.build(pairs, dtype)
        for aggregator in self.pair_aggregators:
            aggregator.build(pairs, dtype)
        self.iterations = self.add_weight(
            name="iterations",
            shape=(),
            dtype="int32",
            initializer="zeros",
            trainable=False,
        )
        self.built = True

    def _zeros(self, name, shapes, dtype):
        return [
            self.add_weight(
                name=f"{name}_{index}",
                shape=shape,
                dtype=dtype,
                initializer="zeros",
                trainable=False,
            )
            for index, shape in enumerate(shapes)
        ]

    def compute_update(self, clean: ForwardPass) -> Update:
        """Runs the pipeline on a forward pass.

        Args:
            clean: The pass at the current weights.

        Returns:
            The update. State is assigned as the components do; the training
            step keeps or drops it.
        """
        if self.balancer.uses_passes:
            self.balancer.learn(clean)
        weights = self.balancer(clean.losses, clean.mask)
        if self.flatness is None:
            update = self._plain_update(clean, weights)
        else:
            update = self._flat_update(clean, weights)
        self.iterations.assign(ops.add(self.iterations, 1))
        return update

    @property
    def components(self) -> list[Component]:
        """All parts, those that are made for one use of a part too."""
        parts = [
            self.balancer,
            self.flatness,
            self.aggregator,
            self.flat_aggregator,
            self.outer_aggregator,
            *self.pair_aggregators,
        ]
        return [part for part in parts if part is not None]

    @property
    def observes(self) -> bool:
        """Whether a part learns from what an update does to the losses."""
        return self.balancer.observes or self.aggregator.observes

    def observe(self, losses: Any, new_losses: Any, mask: Any = None) -> None:
        """Shows the parts the losses before and after an update.

        Args:
            losses: Tensor `[K]` of task losses before the update.
            new_losses: Tensor `[K]` of task losses after it, of the same
                batch and with the same random numbers.
            mask: Optional tensor `[K]`, 1 for present tasks, 0 for absent.
        """
        observers = [self.balancer, self.aggregator, self.flat_aggregator]
        for part in observers:
            if part is not None and part.observes:
                part.observe(losses, new_losses, mask)

    def end_epoch(self) -> None:
        """Tells the parts that an epoch is over."""
        for part in self.components:
            part.end_epoch()

    def notices(self) -> list[str]:
        return [notice for part in self.components for notice in part.notices()]

    def _sampled_update(self, clean, weights):
        """Of a method that wants gradients of independent samples."""
        count = self.aggregator.samples
        own = clean.own_gradients(weights)
        masks, jacobians = [clean.mask], []
        for index in range(count):
            part = clean.part(index, count)
            gradients = part.task_gradients(weights, last=True)
            jacobians.append(gradients.shared)
            masks.append(part.mask)
        known = [mask for mask in masks if mask is not None]
        mask = math.prod(known[1:], start=known[0]) if known else None
        shared = self.aggregator.aggregate_samples(
            jacobians, clean.losses, mask
        )
        return Update(shared, own, finite_tasks(clean.losses, jacobians[0]))

    def _is_plain(self):
        """Whether each step makes one pass only."""
        return self.flatness is None or self.flatness.scope == "momentum"

    def _plain_update(self, clean, weights, penalties=True):
        if self.aggregator.samples > 1 and self._is_plain():
            return self._sampled_update(clean, weights)
        if self.aggregator.linear:
            return clean.total(
                self._shared_weights(clean, weights),
                weights,
                penalties,
                last=True,
            )
        gradients = clean.task_gradients(weights, last=True)
        shared = self.aggregator.aggregate(
            gradients.shared, clean.losses, clean.mask
        )
        return Update(
            shared, gradients.own, finite_tasks(clean.losses, gradients.shared)
        )

    def _shared_weights(self, clean, weights):
        """Task weights times row weights of a linear aggregator."""
        if isinstance(self.aggregator, aggregators.Sum):
            # The same object: one backward pass serves own variables too.
            return weights
        rows = self.aggregator.compute_row_weights(
            int(weights.shape[0]), clean.mask, weights.dtype
        )
        return rows * weights

    # ----------------------------------------------------------- flatness

    def offsets(self, model_values: Any) -> list[Any] | None:
        """Where the first pass of a step is made, relative to the weights.

        Args:
            model_values: Has `values_of()` and `perturbs(flatness)`, and
                `num_shared`.

        Returns:
            One tensor or `None` per shared, then per own variable; `None` for
            a step that starts at the weights themselves.
        """
        if self.flatness is None or self.flatness.scope != "momentum":
            return None
        return self.flatness.perturb(
            model_values.values_of(),
            self.flatness.directions(),
            model_values.perturbs(self.flatness),
            model_values.num_shared,
            ops.convert_to_tensor(self.iterations),
        )

    def _flat_update(self, clean, weights):
        iterations = ops.convert_to_tensor(self.iterations)
        scope = self.flatness.scope
        if scope == "momentum":
            update = self._plain_update(clean, weights)
            self.flatness.accumulate(update.shared, update.own)
            return update
        near = Nearby(self.flatness, self.balancer, clean, weights, iterations)
        if scope == "probe":
            return self._probe_update(clean, weights, near)
        if scope == "global" and not self._needs_clean_rows():
            return self._global_update(clean, weights, near)
        gradients = clean.task_gradients(weights, last=True)
        due = None
        if self.flatness.interval > 1:
            due = ops.equal(iterations % self.flatness.interval, 0)
        sharp, sharp_losses = self._sharpened(clean, gradients, near, due)
        finite = ops.logical_and(
            finite_tasks(clean.losses, gradients.shared),
            finite_tasks(sharp_losses, sharp.shared),
        )
        if self.flatness.reuse:
            own = self._reuse_own(gradients.own, sharp.own, due)
        else:
            own = sharp.own
        shared = self._merge(
            gradients.shared,
            sharp.shared,
            clean.losses,
            clean.mask,
            self.flatness.is_active(iterations),
            due,
        )
        return Update(shared, own, finite)

    def _needs_clean_rows(self):
        return self.flatness.interval > 1 or (
            self.flatness.combine != "direct" and not self.aggregator.linear
        )

    def _global_update(self, clean, weights, near):
        total = clean.total(weights, weights, penalties=False, last=True)
        point = near.of_all_tasks(total.shared, total.own)
        # Regularizers are not perturbed: the step adds their clean gradient.
        update = self._plain_update(
            point, near.weights_at(point.losses), penalties=False
        )
        return Update(
            update.shared,
            update.own,
            ops.logical_and(total.finite, update.finite),
        )

    def _probe_update(self, clean, weights, near):
        """Directions from losses at random points (SAMO)."""
        total = clean.total(weights, weights, penalties=False, last=True)
        direction = self.flatness.directions(clean, total.shared)
        sharp, losses = near.along(direction, total.own)
        shared = self.aggregator.aggregate(
            sharp.shared, clean.losses, clean.mask
        )
        finite = ops.logical_and(
            total.finite, finite_tasks(losses, sharp.shared)
        )
        return Update(shared, sharp.own, finite)

    def _sharpened(self, clean, gradients, near, due):
        """Task gradients at the perturbed points, on the steps that have it."""
        take = near.task_gradients
        if self.flatness.scope == "global":
            take = near.global_gradients
        if due is None:
            return take(gradients)
        num_tasks = len(gradients.own)
        num_shared = gradients.shared.num_variables
        # Cut before the branches: a row that one of them cuts is kept, and is
        # out of reach for the other.
        unperturbed = _flatten(gradients)

        def perturbed():
            sharp, losses = take(gradients)
            return [losses, *_flatten(sharp)]

        def plain():
            # A new tensor: branches must not return their own inputs.
            return [clean.losses * 1, *unperturbed]

        losses, *flat = ops.cond(due, perturbed, plain)
        rows, own = [], []
        for k in range(num_tasks):
            rows.append(flat[:num_shared])
            own.append(flat[num_shared : num_shared + len(gradients.own[k])])
            flat = flat[num_shared + len(gradients.own[k]) :]
        return (
            TaskGradients(
                Jacobian(rows=rows, dtype=gradients.shared.dtype), own
            ),
            losses,
        )

    def _reuse_own(self, clean, sharp, due):
        """The own gradients, with the last flat part where there is none."""
        result = []
        flat_parts = iter(self.own_flat_parts)
        for clean_task, sharp_task in zip(clean, sharp, strict=True):
            for_task = []
            for gradient, sharp_gradient in zip(
                clean_task, sharp_task, strict=True
            ):
                flat = _renewed(
                    next(flat_parts), sharp_gradient - gradient, due
                )
                for_task.append(gradient + flat)
            result.append(for_task)
        return result

    def _merge(self, clean, sharp, losses, mask, active, due):
        """Merges clean and perturbed rows as `flatness.combine` says."""
        combine = self.flatness.combine
        reuse = self.flatness.reuse
        if combine == "direct" or (self.aggregator.linear and not reuse):
            return self.aggregator.aggregate(sharp, losses, mask)
        flat = sharp.minus(clean)
        # With a radius of 0 the flat part is rounding noise, which
        # normalising aggregators would blow up: all tasks are absent from it.
        present = ops.ones_like(losses) if mask is None else mask
        if due is not None:
            active = ops.logical_and(active, due)
        flat_mask = present * ops.cast(active, present.dtype)
        if combine == "each":
            return self._merge_each(clean, flat, losses, mask, flat_mask)
        loss_part = self.aggregator.aggregate(clean, losses, mask)
        merger = self.flat_aggregator or self.aggregator
        flat_part = merger.aggregate(flat, losses, flat_mask)
        if reuse:
            flat_part = [
                _renewed(variable, part, due)
                for variable, part in zip(
                    self.flat_parts, flat_part, strict=True
                )
            ]
        if combine == "decomposed":
            return [a + b for a, b in zip(loss_part, flat_part, strict=True)]
        is_there = ops.cast(ops.any(flat_mask > 0), present.dtype)
        return self.outer_aggregator.aggregate(
            Jacobian(rows=[loss_part, flat_part], dtype=clean.dtype),
            None,
            ops.stack([ops.ones_like(is_there), is_there]),
        )

    def _merge_each(self, clean, flat, losses, mask, flat_mask):
        rows = []
        for k, aggregator in enumerate(self.pair_aggregators):
            pair = Jacobian(
                rows=[clean.rows[k], flat.rows[k]], dtype=clean.dtype
            )
            pair_mask = ops.stack([ops.ones_like(flat_mask[k]), flat_mask[k]])
            rows.append(aggregator.aggregate(pair, None, pair_mask))
        return self.aggregator.aggregate(
            Jacobian(rows=rows, dtype=clean.dtype), losses, mask
        )

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "balancer": serialize(self.balancer),
            "flatness": self.flatness and serialize(self.flatness),
            "aggregator": serialize(self.aggregator),
            "on_nonfinite": self.on_nonfinite,
        }


def _renewed(variable, value, due):
    """The value if it is due, else the last one; kept in the variable."""
    value = ops.where(due, ops.cast(value, variable.dtype), variable.value)
    variable.assign(value)
    return value


def _flatten(gradients: TaskGradients) -> list[Any]:
    return [
        gradient
        for row, own in zip(gradients.shared.rows, gradients.own, strict=True)
        for gradient in (*row, *own)
    ]


def finite_tasks(losses: Any, jacobian: Jacobian) -> Any:
    """Bool tensor `[K]`: loss and known gradient norm are finite."""
    finite = ops.isfinite(losses)
    if jacobian.known_gramian is not None:
        norms = ops.diagonal(jacobian.known_gramian)
        finite = ops.logical_and(finite, ops.isfinite(norms))
    return finite


def check_on_nonfinite(value: str | None, optional: bool = False) -> None:
    """Raises `ValueError` for anything but a known policy."""
    if value in ON_NONFINITE or (optional and value is None):
        return
    raise ValueError(
        f"Argument `on_nonfinite` must be one of {ON_NONFINITE}. Received: "
        f"on_nonfinite={value!r}."
    )
