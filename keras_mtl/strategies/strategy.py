"""A strategy: balancer, flatness regularizer and aggregator in a row."""

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
        combine = None if self.flatness is None else self.flatness.combine
        if self.merges_twice:
            # State and seeds of the parts must not mix.
            self.flat_aggregator = self.aggregator.sibling(1)
            if combine == "second":
                self.outer_aggregator = self.aggregator.sibling(2)

    @property
    def merges_twice(self) -> bool:
        """Whether clean gradients and flat parts are aggregated apart.

        With weights that do not depend on the gradients the sum of both
        results is the aggregated SAM gradient, so the parts need not be split.
        """
        return (
            self.flatness is not None
            and self.flatness.combine in ("decomposed", "second")
            and not self.aggregator.linear
        )

    def build(
        self,
        num_tasks: int,
        shapes: list[tuple[int, ...]],
        dtype: str = "float32",
    ) -> None:
        """Creates the state.

        Args:
            num_tasks: Number of tasks K.
            shapes: Shapes of the shared variables.
            dtype: Dtype of the state.
        """
        rows = [(num_tasks, *shape) for shape in shapes]
        pairs = [(2, *shape) for shape in shapes]
        self.balancer.build(num_tasks, dtype)
        self.aggregator.build(rows, dtype)
        if self.flatness is not None:
            self.flatness.build(dtype)
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

    def compute_update(self, clean: ForwardPass) -> Update:
        """Runs the pipeline on a forward pass.

        Args:
            clean: The pass at the current weights.

        Returns:
            The update. State is assigned as the components do; the training
            step keeps or drops it.
        """
        weights = self.balancer(clean.losses, clean.mask)
        if self.flatness is None:
            update = self._plain_update(clean, weights)
        else:
            update = self._flat_update(clean, weights)
        self.iterations.assign(ops.add(self.iterations, 1))
        return update

    def _plain_update(self, clean, weights, penalties=True):
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

    def _flat_update(self, clean, weights):
        iterations = ops.convert_to_tensor(self.iterations)
        if self.flatness.scope == "global" and not self._needs_clean_rows():
            return self._global_update(clean, weights, iterations)
        gradients = clean.task_gradients(weights, last=True)
        sharp, sharp_losses = self._sharpened(
            clean, gradients, weights, iterations
        )
        active = self.flatness.is_active(iterations)
        if self.flatness.interval > 1:
            active = ops.logical_and(active, self._is_due(iterations))
        shared = self._merge(
            gradients.shared, sharp.shared, clean.losses, clean.mask, active
        )
        finite = ops.logical_and(
            finite_tasks(clean.losses, gradients.shared),
            finite_tasks(sharp_losses, sharp.shared),
        )
        return Update(shared, sharp.own, finite)

    def _needs_clean_rows(self):
        return self.flatness.interval > 1 or (
            self.flatness.combine != "direct" and not self.aggregator.linear
        )

    def _is_due(self, iterations):
        return ops.equal(iterations % self.flatness.interval, 0)

    def _global_update(self, clean, weights, iterations):
        total = clean.total(weights, weights, penalties=False, last=True)
        near = self._nearby(clean, total.shared, total.own, iterations)
        near_weights = self._weights_nearby(near.losses, weights, clean.mask)
        # Regularizers are not perturbed: the step adds their clean gradient.
        update = self._plain_update(near, near_weights, penalties=False)
        return Update(
            update.shared,
            update.own,
            ops.logical_and(total.finite, update.finite),
        )

    def _nearby(self, clean, shared, own, iterations):
        """The pass at the worst case of the summed loss."""
        offsets = self.flatness.perturb(
            clean.values_of(),
            [*shared, *(gradient for task in own for gradient in task)],
            clean.perturbs(self.flatness),
            len(shared),
            iterations,
        )
        return clean.near(offsets)

    def _sharpened(self, clean, gradients, weights, iterations):
        """Task gradients at the perturbed points, on the steps that have it."""
        if self.flatness.interval == 1:
            return self._task_gradients_nearby(
                clean, gradients, weights, iterations
            )
        num_tasks = len(gradients.own)
        num_shared = gradients.shared.num_variables
        # Cut before the branches: a row that one of them cuts is kept, and is
        # out of reach for the other.
        unperturbed = _flatten(gradients)

        def perturbed():
            sharp, losses = self._task_gradients_nearby(
                clean, gradients, weights, iterations
            )
            return [losses, *_flatten(sharp)]

        def plain():
            # A new tensor: branches must not return their own inputs.
            return [clean.losses * 1, *unperturbed]

        losses, *flat = ops.cond(self._is_due(iterations), perturbed, plain)
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

    def _task_gradients_nearby(self, clean, gradients, weights, iterations):
        if self.flatness.scope == "global":
            shared = gradients.shared.combine(ops.ones_like(weights))
            near = self._nearby(clean, shared, gradients.own, iterations)
            near_weights = self._weights_nearby(
                near.losses, weights, clean.mask
            )
            return near.task_gradients(near_weights, last=True), near.losses
        own, losses = [], []

        def rows():
            for k, row in enumerate(gradients.shared.rows):
                offsets = self.flatness.perturb(
                    clean.values_of(k),
                    [*row, *gradients.own[k]],
                    clean.perturbs(self.flatness, k),
                    len(row),
                    iterations,
                )
                near = clean.near(offsets, task=k)
                weight = self._weights_nearby(
                    ops.broadcast_to(near.losses, weights.shape),
                    weights,
                    clean.mask,
                )[k]
                row, own_gradients = near.task_gradient(weight)
                own.append(own_gradients)
                losses.append(near.losses[0])
                yield row

        jacobian = Jacobian.gather(
            rows(), len(gradients.own), gradients.shared.dtype
        )
        return TaskGradients(jacobian, own), ops.stack(losses)

    def _weights_nearby(self, losses, weights, mask):
        """Weights for perturbed losses.

        A balancer that is a function of each task's own loss is applied to
        the perturbed loss: the step then is SAM of the balanced loss. Others
        keep the weights of the clean pass, and their state moves once.
        """
        if self.balancer.elementwise:
            return self.balancer(losses, mask)
        return weights

    def _merge(self, clean, sharp, losses, mask, active):
        """Merges clean and perturbed rows as `flatness.combine` says."""
        combine = self.flatness.combine
        if combine == "direct" or self.aggregator.linear:
            return self.aggregator.aggregate(sharp, losses, mask)
        flat = sharp.minus(clean)
        # With a radius of 0 the flat part is rounding noise, which
        # normalising aggregators would blow up: all tasks are absent from it.
        present = ops.ones_like(losses) if mask is None else mask
        flat_mask = present * ops.cast(active, present.dtype)
        if combine == "each":
            return self._merge_each(clean, flat, losses, mask, flat_mask)
        loss_part = self.aggregator.aggregate(clean, losses, mask)
        flat_part = self.flat_aggregator.aggregate(flat, losses, flat_mask)
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
