"""What the tasks' weights and gradients were like, epoch by epoch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_mtl.callbacks.tensorboard_images import TensorBoardImages
from keras_mtl.callbacks.tensorboard_images import check_installed
from keras_mtl.export import keras_mtl_export
from keras_mtl.visualization.plot_conflicts import plot_conflicts

#: Up to this number of tasks, pairs are in the logs by default.
MOST_TASKS = 5


@keras_mtl_export("keras_mtl.callbacks.TaskMonitor")
class TaskMonitor(keras.callbacks.Callback):
    """Tells how much the tasks count, and how much they are in conflict.

    At the end of each epoch it adds means over the steps to the logs, where
    `History`, `CSVLogger`, `TensorBoard` and other callbacks that come after
    it in the list find them. The numbers are summed up on the device, inside
    the training step: nothing is read before the epoch ends. Without the
    callback the step is what it was.

    For each task, over the steps in which it had labels:

    - `<task>_weight`: the balancer's weight;
    - `<task>_row_weight`: the aggregator's weight of the task's gradient, of
      methods that take a weighted sum of them;
    - `<task>_gradient_norm`: norm of the gradient of the task's loss by the
      shared variables (of loss times `loss_weights`, without the weights
      above), and `<task>_flat_norm`: of what the perturbed gradient adds to
      it, with a flatness regularizer that perturbs by task;
    - `<task>_loss_flat_cosine`: cosine between these two.

    For pairs, over the steps in which neither gradient was zero:

    - `<task>_<other>_cosine` and `<task>_<other>_flat_cosine`;
    - `conflict_ratio`, `flat_conflict_ratio`: the share of negative cosines
      among all pairs and steps; `loss_flat_conflict_ratio`: the share of
      steps and tasks in which the flat part opposes the loss part.

    A strategy that takes no task gradients, such as `"ew"`, has weights only.
    With `gradients="representation"`, gradients are those by the
    representation.

    Args:
        pairs: Whether to log cosines of pairs. Defaults to `None`: if there
            are at most 5 tasks. `cosines` has them in any case.
        log_dir: Directory for TensorBoard, the same as that of a
            `keras.callbacks.TensorBoard`, to which the cosines of each epoch
            are written as an image, on any backend. Defaults to `None`: no
            images.

    Attributes:
        cosines: For each epoch, a NumPy array `[K, K]` of mean cosines; NaN
            where there were none.
        flat_cosines: The same between flat parts.
        conflicts: For each epoch, the share of steps with a negative cosine.

    Raises:
        ImportError: If `log_dir` is given and what writes images is not
            installed: `pip install "keras-mtl[tensorboard]"`.
        ValueError: In `fit`, if there is no strategy to watch.

    Example:

    ```python
    monitor = keras_mtl.callbacks.TaskMonitor()
    history = model.fit(x, y, strategy="mgda", callbacks=[monitor])
    history.history["conflict_ratio"]
    ```
    """

    #: `fit` has the training step add to the model's `task_statistics`.
    watches_tasks = True

    def __init__(
        self, pairs: bool | None = None, log_dir: str | Path | None = None
    ):
        super().__init__()
        if log_dir is not None:
            check_installed()
        self.pairs = pairs
        self.log_dir = log_dir
        self._images: TensorBoardImages | None = None
        self.cosines: list[Any] = []
        self.flat_cosines: list[Any] = []
        self.conflicts: list[Any] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.cosines, self.flat_cosines, self.conflicts = [], [], []
        # A plain `keras.Model` has none.
        if getattr(self.model, "task_statistics", None) is None:
            raise ValueError(
                "TaskMonitor watches the steps of a strategy. Pass one to "
                "`fit` or `compile` of a keras_mtl.MultiTaskModel, for "
                "instance `strategy='ew'`."
            )
        self.model.task_statistics.read_and_reset()
        if self.log_dir is not None:
            # Where Keras's callback writes the scalars of training.
            self._images = TensorBoardImages(Path(self.log_dir) / "train")

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._images is not None:
            self._images.close()
            self._images = None

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        sums = self.model.task_statistics.read_and_reset()
        tasks = self.model.tasks
        self.cosines.append(_matrix(sums, "loss_cosines"))
        self.flat_cosines.append(_matrix(sums, "flat_cosines"))
        self.conflicts.append(_matrix(sums, "loss_conflicts"))
        found = {
            **_by_task(tasks, "weight", sums["weights"], sums["present"]),
            **_by_task(
                tasks, "row_weight", sums["row_weights"], sums["row_counts"]
            ),
            **_by_task(
                tasks,
                "gradient_norm",
                sums["loss_norms"],
                sums["loss_norm_counts"],
            ),
            **_by_task(
                tasks, "flat_norm", sums["flat_norms"], sums["flat_norm_counts"]
            ),
            **_by_task(
                tasks,
                "loss_flat_cosine",
                sums["inner_cosines"],
                sums["inner_counts"],
            ),
        }
        wanted = len(tasks) <= MOST_TASKS if self.pairs is None else self.pairs
        if wanted:
            found.update(_by_pair(tasks, "cosine", self.cosines[-1]))
            found.update(_by_pair(tasks, "flat_cosine", self.flat_cosines[-1]))
        found.update(_ratios(sums))
        if logs is not None:
            logs.update(found)
        if self._images is not None:
            self._write_images(self._images, epoch)

    def _write_images(self, images: TensorBoardImages, epoch: int) -> None:
        for name, cosines in (
            ("cosine", self.cosines[-1]),
            ("flat_cosine", self.flat_cosines[-1]),
        ):
            if not np.isnan(cosines).all():
                figure = plot_conflicts(cosines, self.model.tasks)
                images.write(f"epoch_{name}", figure, epoch)


def _means(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Means, NaN where nothing was counted."""
    return np.divide(
        total, count, out=np.full_like(total, np.nan), where=count > 0
    )


def _matrix(sums: dict[str, np.ndarray], name: str) -> np.ndarray:
    part = name.split("_")[0]
    return _means(sums[name], sums[f"{part}_pair_counts"])


def _by_task(
    tasks: Sequence[str], name: str, total: np.ndarray, count: np.ndarray
) -> dict[str, float]:
    means = _means(total, count)
    return {
        f"{task}_{name}": float(mean)
        for task, mean in zip(tasks, means, strict=True)
        # What a strategy does not have in any step is left out.
        if count.any()
    }


def _by_pair(
    tasks: Sequence[str], name: str, matrix: np.ndarray
) -> dict[str, float]:
    return {
        f"{task}_{other}_{name}": float(matrix[i, j])
        for i, task in enumerate(tasks)
        for j, other in enumerate(tasks[i + 1 :], i + 1)
        if not np.isnan(matrix).all()
    }


def _ratios(sums: dict[str, np.ndarray]) -> dict[str, float]:
    """Shares of conflicts among all pairs of different rows."""
    ratios = {}
    for prefix, part in (("", "loss"), ("flat_", "flat")):
        count = np.triu(sums[f"{part}_pair_counts"], 1).sum()
        if count:
            found = np.triu(sums[f"{part}_conflicts"], 1).sum()
            ratios[f"{prefix}conflict_ratio"] = float(found / count)
    count = sums["inner_counts"].sum()
    if count:
        found = sums["inner_conflicts"].sum()
        ratios["loss_flat_conflict_ratio"] = float(found / count)
    return ratios
