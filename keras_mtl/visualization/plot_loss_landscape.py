"""The losses of the tasks around the weights of a model."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl.arguments import checked_integer
from keras_mtl.arguments import checked_number
from keras_mtl.export import keras_mtl_export
from keras_mtl.visualization.canvas import COLOURS
from keras_mtl.visualization.canvas import new_figure


@keras_mtl_export("keras_mtl.visualization.plot_loss_landscape")
def plot_loss_landscape(
    model: keras.Model,
    x: Any,
    y: Any,
    tasks: Sequence[str] | None = None,
    span: float = 1.0,
    num_points: int = 11,
    batch_size: int | None = None,
    seed: int = 0,
) -> Any:
    """Draws the loss of each task on a random plane through the weights.

    The plane is spanned by two random directions, the same for all tasks,
    each filter of which is scaled to the norm of the filter of the model, so
    that models with larger weights do not look flatter. Biases and what
    normalization layers hold stay as they are. All panels show the same
    plane; a wide, round basin in all of them is what flatness is after.

    `model.evaluate` is called `num_points^2` times. The weights are set back
    after it, bit for bit, also if it fails.

    Args:
        model: A compiled model, built, with several tasks.
        x: Inputs, as for `model.evaluate`.
        y: Labels.
        tasks: Names of the tasks to draw. Defaults to `None`: all.
        span: How far to go, as a share of the filters' norms. Defaults to
            `1.0`.
        num_points: How many points a side has, odd, so that the model itself
            is one of them. Defaults to `11`.
        batch_size: As for `model.evaluate`. Defaults to `None`.
        seed: Integer, which says what the directions are. Defaults to `0`.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If an argument is out of range, or there is no such task.

    Example:

    ```python
    figure = keras_mtl.visualization.plot_loss_landscape(model, x, y)
    ```

    References:
        Li et al., Visualizing the Loss Landscape of Neural Nets, NeurIPS
        2018, [arXiv:1712.09913](https://arxiv.org/abs/1712.09913), section 4.
    """
    checked_integer("num_points", num_points, 3)
    if num_points % 2 == 0:
        raise ValueError(
            "Argument `num_points` must be odd, so that the model is in the "
            f"middle. Received: num_points={num_points}"
        )
    span = checked_number("span", span, "(0, inf)")
    if not hasattr(model, "compute_task_losses"):
        raise ValueError(
            "Argument `model` must be a keras_mtl.MultiTaskModel; wrap a "
            "multi-output Keras model by `MultiTaskModel.from_model`. "
            f"Received: model of type {type(model).__name__}"
        )
    tasks = list(model.tasks if tasks is None else tasks)
    unknown = [task for task in tasks if task not in model.tasks]
    if unknown or not tasks:
        raise ValueError(
            f"Argument `tasks` must name tasks of the model: {model.tasks}. "
            f"Received: tasks={tasks}"
        )
    figure = new_figure((0.4 + 3.2 * len(tasks), 3.0))
    places = np.linspace(-span, span, num_points)
    losses = _losses(model, places, seed, x, y, batch_size)
    panels = figure.subplots(1, len(tasks), squeeze=False)[0]
    for task, axes in zip(tasks, panels, strict=True):
        values = np.array(
            [[at[f"{task}_loss"] for at in row] for row in losses]
        )
        filled = axes.contourf(places, places, values, 20, cmap="viridis")
        axes.contour(places, places, values, 10, colors="white", linewidths=0.5)
        axes.plot(0, 0, "P", color=COLOURS[4], mec="white", markersize=9)
        axes.set_aspect("equal")
        axes.set_xlabel("first direction")
        axes.set_title(f"{task} loss", fontsize=10)
        figure.colorbar(filled, ax=axes)
    panels[0].set_ylabel("second direction")
    return figure


def _losses(
    model: Any, places: Any, seed: int, x: Any, y: Any, batch_size: int | None
) -> list[list[dict[str, float]]]:
    """Returns the logs at all points, and leaves the weights as they were."""
    variables = model.trainable_variables
    start = [
        np.array(ops.convert_to_numpy(ops.convert_to_tensor(variable)))
        for variable in variables
    ]
    generator = np.random.default_rng(seed)
    first, second = (
        [_direction(value, generator) for value in start] for _ in range(2)
    )
    try:
        return [
            [
                _logs_at(
                    model,
                    [
                        value + (right * a + up * b).astype(value.dtype)
                        for value, a, b in zip(
                            start, first, second, strict=True
                        )
                    ],
                    x=x,
                    y=y,
                    batch_size=batch_size,
                )
                for right in places
            ]
            for up in places
        ]
    finally:
        for variable, value in zip(variables, start, strict=True):
            variable.assign(value)


def _logs_at(
    model: Any, values: list[np.ndarray], **data: Any
) -> dict[str, float]:
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value)
    return model.evaluate(verbose=0, return_dict=True, **data)


def _direction(value: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A random direction with the norms of the filters, the last axis."""
    if value.ndim < 2:
        return np.zeros(value.shape)
    direction = generator.normal(size=value.shape)
    axes = tuple(range(value.ndim - 1))

    def norms(array: np.ndarray) -> np.ndarray:
        squares = np.square(array, dtype="float64")
        return np.sqrt(np.sum(squares, axis=axes, keepdims=True))

    return direction * norms(value) / norms(direction)
