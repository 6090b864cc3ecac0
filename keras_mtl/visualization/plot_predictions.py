"""What a model of dense tasks sees, beside what there is."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_mtl.arguments import checked_choice
from keras_mtl.export import keras_mtl_export
from keras_mtl.visualization.canvas import COLOURS
from keras_mtl.visualization.canvas import new_figure

KINDS = ("classes", "depth", "normals")


@keras_mtl_export("keras_mtl.visualization.plot_predictions")
def plot_predictions(
    images: Any,
    predictions: Mapping[str, Any],
    labels: Mapping[str, Any],
    kinds: Mapping[str, str],
) -> Any:
    """Draws images with the predictions and labels of dense tasks.

    A row for each image; for each task a column of predictions and one of
    labels, in the same colours. Depths have one scale for all rows, that of
    the labels. Pixels whose label is negative (classes) or NaN are left blank.

    Args:
        images: Array `[N, H, W, 3]` of bytes or of floats in [0, 1].
        predictions: Dict by task of arrays `[N, H, W, ...]`: scores of
            classes or class indices, depths, or vectors of 3.
        labels: Dict by task of arrays with the same meaning; class indices.
        kinds: Dict by task: `"classes"`, `"depth"` or `"normals"`.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If a task is missing, or shapes do not fit its kind.

    Example:

    ```python
    depth = np.linspace(1.0, 5.0, 64).reshape(1, 8, 8, 1)
    figure = keras_mtl.visualization.plot_predictions(
        np.zeros((1, 8, 8, 3)),
        predictions={"depth": depth},
        labels={"depth": depth + 0.2},
        kinds={"depth": "depth"},
    )
    ```
    """
    images = np.asarray(images)
    for task, kind in kinds.items():
        checked_choice(f"kinds[{task!r}]", kind, KINDS)
        for argument, arrays in (
            ("predictions", predictions),
            ("labels", labels),
        ):
            shape = np.shape(arrays[task]) if task in arrays else None
            if shape is None or shape[:3] != images.shape[:3]:
                raise ValueError(
                    f"Argument `{argument}` must have an array for task "
                    f"{task!r} that begins with the shape "
                    f"{list(images.shape[:3])} of the images. Received: "
                    f"{shape}"
                )
    columns = 1 + 2 * len(kinds)
    figure = new_figure((1.5 * columns, 0.4 + 1.5 * len(images)))
    panels = figure.subplots(len(images), columns, squeeze=False)
    for axes in panels.flat:
        axes.set_xticks([])
        axes.set_yticks([])
    panels[0, 0].set_title("image", fontsize=9)
    for row, picture in enumerate(images):
        panels[row, 0].imshow(picture)
    for index, (task, kind) in enumerate(kinds.items()):
        left = 1 + 2 * index
        _draw_task(
            panels[:, left : left + 2],
            task,
            kind,
            np.asarray(predictions[task]),
            np.asarray(labels[task]),
        )
    return figure


def _draw_task(
    panels: Any, task: str, kind: str, prediction: Any, label: Any
) -> None:
    draw = {"classes": _classes, "depth": _depth, "normals": _normals}[kind]
    pictures, options = draw(task, prediction, label)
    for column, title in enumerate(("prediction", "label")):
        panels[0, column].set_title(f"{task}\n{title}", fontsize=9)
        for row, picture in enumerate(pictures[column]):
            image = panels[row, column].imshow(picture, **options)
    if kind == "depth":
        panels[0, 0].figure.colorbar(image, ax=panels[:, 1].tolist())


def _classes(
    task: str, prediction: Any, label: Any
) -> tuple[tuple[Any, Any], dict[str, Any]]:
    from matplotlib import colormaps
    from matplotlib.colors import Colormap
    from matplotlib.colors import ListedColormap

    if prediction.ndim == 4:
        prediction = prediction.argmax(axis=-1)
    label = _one_channel("labels", task, label)
    num_classes = int(max(prediction.max(), label.max())) + 1
    colours: Colormap = ListedColormap(COLOURS)
    if num_classes > len(COLOURS):
        # More than colours that everybody tells apart.
        colours = colormaps["viridis"].resampled(num_classes)
    options = {"cmap": colours, "vmin": -0.5, "vmax": colours.N - 0.5}
    options["interpolation"] = "nearest"
    return (prediction, np.ma.masked_less(label, 0)), options


def _depth(
    task: str, prediction: Any, label: Any
) -> tuple[tuple[Any, Any], dict[str, Any]]:
    prediction = _one_channel("predictions", task, prediction)
    label = np.ma.masked_invalid(_one_channel("labels", task, label))
    options = {"cmap": "viridis", "vmin": label.min(), "vmax": label.max()}
    return (prediction, label), options


def _normals(
    task: str, prediction: Any, label: Any
) -> tuple[tuple[Any, Any], dict[str, Any]]:
    return (
        _as_colours("predictions", task, prediction),
        _as_colours("labels", task, label),
    ), {}


def _as_colours(argument: str, task: str, normals: np.ndarray) -> np.ndarray:
    """Maps the directions to red, green and blue; what has none is blank."""
    if normals.shape[-1] != 3:
        raise ValueError(
            f"Argument `{argument}` must have vectors of 3 for task {task!r}. "
            f"Received: the shape {list(normals.shape)}"
        )
    norms = np.linalg.norm(normals, axis=-1, keepdims=True)
    is_there = np.isfinite(norms) & (norms > 0)
    unit = np.where(is_there, normals, 0.0) / np.where(is_there, norms, 1.0)
    return np.concatenate([(unit + 1.0) / 2.0, is_there], axis=-1)


def _one_channel(argument: str, task: str, values: np.ndarray) -> np.ndarray:
    if values.ndim == 4 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 3:
        raise ValueError(
            f"Argument `{argument}` must have one number per pixel for task "
            f"{task!r}. Received: the shape {list(values.shape)}"
        )
    return values
