"""A look at whether a step sees a model as `keras.Model` would.

A step computes at explicit values, at perturbed ones too, and takes the
gradients apart by task. Whatever of a model goes another way would be trained
wrongly without a word. So one batch is computed in both ways before training.
"""

import dataclasses
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from keras_mtl import backend
from keras_mtl.training.batch import Batch
from keras_mtl.training.look import Look
from keras_mtl.training.plain_step import PlainStep
from keras_mtl.training.task_steps import TaskSteps
from keras_mtl.typing import Tensor

LOGGER = logging.getLogger("keras_mtl")

#: Names of variables in an error, at most.
MAX_NAMES = 5


def check_step(model: Any, batch: Batch) -> bool:
    """Compares what a plan computes with what `keras.Model` does.

    Losses and the gradient of their sum are compared at the weights, and near
    them, where flatness and measurements of sharpness look. Nothing is
    changed; weights that are moved on the way are put back.

    Args:
        model: A built and compiled `MultiTaskModel` with a plan.
        batch: A batch.

    Returns:
        Whether there was something to compare: all was finite at the weights.

    Raises:
        ValueError: If they differ by more than rounding.
    """
    plan = model.training_plan
    plain = PlainStep(model, plan.partition.variables, plan.bypass)
    replay = backend.RandomReplay()

    def compare(data: Any) -> list[Tensor]:
        batch = Batch(*data)
        steps = TaskSteps(model, batch, replay)
        with replay():
            at_weights = plain.at_weights(batch)
        # Before weights are moved, which share their memory with the pass.
        compared = _compared(at_weights, steps.at_weights())
        offsets = plain.offsets(at_weights)
        with replay():
            nearby = plain.nearby(batch, offsets)
        return [*compared, *_compared(nearby, steps.nearby(offsets))]

    def repeat(data: Any) -> list[Tensor]:
        batch = Batch(*data)
        points = []
        for _ in range(2):
            with replay():
                points.append(plain.at_weights(batch))
        points[1].sizes = [ops.zeros(())] * len(plain.variables)
        return _compared(*points)

    def evaluate(
        function: Callable[[Any], list[Tensor]],
    ) -> list[Compared]:
        arrays = backend.evaluate_live(
            function, plain.all_variables, data, model.run_eagerly
        )
        count = len(arrays) // 4
        return [
            Compared(plain.names, *arrays[4 * n : 4 * n + 4])
            for n in range(count)
        ]

    data = (batch.x, batch.y, batch.sample_weight)
    found = evaluate(compare)
    if not found[0].is_finite:
        return False
    epsilon = plain.epsilon()
    differing: dict[str, float] = {}
    for point in found:
        if point.is_finite:
            differing = {**point.differing(epsilon), **differing}
    if not differing:
        return True
    if any(point.differing(epsilon) for point in evaluate(repeat)):
        LOGGER.warning(
            "Layers of %r draw random numbers that differ between passes on "
            "the same batch, so that steps cannot be compared with those of "
            "keras.Model. Let them draw from a `keras.random.SeedGenerator`.",
            model.name,
        )
        return True
    raise ValueError(_message(model, differing))


def _compared(plain: Look, own: Look) -> list[Tensor]:
    """Losses `[2]`; norms of differences, of gradients, and of summands."""
    return [
        ops.stack([ops.cast(p.loss, "float32") for p in (plain, own)]),
        _norms(
            [a - b for a, b in zip(plain.gradients, own.gradients, strict=True)]
        ),
        _norms(plain.gradients),
        ops.stack([ops.cast(size, "float32") for size in own.sizes]),
    ]


@dataclasses.dataclass
class Compared:
    """Losses and gradients of two steps at one point, as `_compared` has them.

    Attributes:
        names: Paths of the variables.
        losses: Array `[2]`.
        differences: Norms of the differences of the gradients.
        norms: Norms of the plain gradients.
        sizes: Norms of what the gradients were summed from.
    """

    names: list[str]
    losses: np.ndarray
    differences: np.ndarray
    norms: np.ndarray
    sizes: np.ndarray

    @property
    def is_finite(self) -> bool:
        return all(
            bool(np.isfinite(array).all())
            for array in (self.losses, self.differences, self.norms, self.sizes)
        )

    def differing(self, epsilon: float) -> dict[str, float]:
        """By name, the part of it by which something differs.

        Args:
            epsilon: Of the numbers that were computed with.
        """
        tolerance = np.sqrt(epsilon)
        # A gradient may be rounding noise, from large terms that cancel.
        noise = 10 * epsilon * (self.sizes + np.linalg.norm(self.norms))
        limits = tolerance * self.norms + noise
        found = {
            name: float(difference / max(norm, difference))
            for name, difference, norm, limit in zip(
                self.names, self.differences, self.norms, limits, strict=True
            )
            if difference > limit
        }
        plain, own = self.losses
        if abs(own - plain) > tolerance * (abs(plain) + tolerance):
            found["the losses"] = float(abs(own - plain) / abs(plain))
        return found


def _norms(gradients: list[Tensor]) -> Any:
    return ops.stack(
        [ops.norm(ops.cast(ops.ravel(g), "float32")) for g in gradients]
    )


def _message(model: Any, differing: Any) -> str:
    worst = sorted(differing, key=lambda name: -differing[name])
    owners = _owners(model)
    named = [
        f"{name!r}{owners.get(name, '')} (by {differing[name]:.0%})"
        for name in worst
    ]
    if len(named) > MAX_NAMES:
        named[MAX_NAMES:] = [f"{len(named) - MAX_NAMES} more"]
    return (
        "Steps of the strategy cannot train this model as keras.Model does: "
        f"they differ in the gradients of {', '.join(named)}. Some layer "
        "reads these weights where a step cannot give it other values, or its "
        "gradients do not add up over the tasks: a `keras.layers.TFSMLayer`, "
        "a `call` under `@tf.function` or `@jax.jit`, `keras.RematScope` on "
        "torch, a layer that keeps tensors of its weights or clips gradients. "
        "Take that out, freeze the layer (`layer.trainable = False`), or train "
        'with `strategy=None`. `compile(check="never")` leaves this check out.'
    )


def _owners(model: Any) -> dict[int, Any]:
    """By path of a weight, which layer it is of, to be read behind its name."""
    owners = {}
    # The innermost layer has the fewest weights.
    layers = sorted(
        model._flatten_layers(), key=lambda layer: -len(layer.variables)
    )
    for layer in layers:
        for variable in layer.variables:
            kind = type(layer).__name__
            owners[variable.path] = f" of the {kind} {layer.name!r}"
    return owners
