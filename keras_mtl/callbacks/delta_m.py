"""The comparison with single-task models, after each epoch."""

from collections.abc import Mapping
from typing import Any

from keras_mtl.callbacks.epoch_results import EpochResults
from keras_mtl.export import keras_mtl_export
from keras_mtl.metrics.delta_m import delta_m
from keras_mtl.metrics.delta_p import delta_p
from keras_mtl.metrics.task_results import Results
from keras_mtl.metrics.task_results import flatten
from keras_mtl.metrics.task_results import relative_gains


@keras_mtl_export("keras_mtl.callbacks.DeltaM")
class DeltaM(EpochResults):
    """Writes into the logs how an epoch compares with single-task models.

    Adds `"delta_m"`, the mean drop over metrics in percent (lower is better,
    `keras_mtl.metrics.delta_m`), and `"delta_p"`, the mean gain over tasks
    (higher is better, `keras_mtl.metrics.delta_p`). They are in `History`,
    and callbacks that come later in the list can use them as any other
    metric, such as `keras.callbacks.ModelCheckpoint(path, monitor="delta_m",
    mode="min", save_best_only=True)`: **put this one before them.**

    Epochs that are not validated (`validation_freq`) get no entries, as with
    Keras's own `"val_"` metrics.

    Args:
        baselines: What single-task models reach: dict from names in the logs,
            without the prefix, to positive numbers, each taken as one task;
            or a dict by task of such dicts, where tasks have several metrics.
        higher_is_better: Which metrics are better if they are higher: a
            collection of their names, a dict of bools, or one bool for all.
        prefix: What the logs have before the names. Defaults to `"val_"`;
            `""` judges the metrics of training.

    Raises:
        ValueError: If a baseline is not positive or `higher_is_better` names
            what is no metric; in `fit`, if the logs lack a metric.

    Example:

    ```python
    comparison = keras_mtl.callbacks.DeltaM(
        {"left_accuracy": 0.93, "right_loss": 0.21},
        higher_is_better={"left_accuracy"},
    )
    by_task = keras_mtl.callbacks.DeltaM(
        {
            "segmentation": {"segmentation_mean_iou": 0.38},
            "depth": {
                "depth_absolute_error": 0.68,
                "depth_relative_error": 0.28,
            },
        },
        higher_is_better={"segmentation_mean_iou"},
    )
    ```

    References:
        Maninis et al., Attentive Single-Tasking of Multiple Tasks, CVPR 2019,
        equation 4, [arXiv:1904.08918](https://arxiv.org/abs/1904.08918).
    """

    def __init__(
        self,
        baselines: Results,
        higher_is_better: Any,
        prefix: str = "val_",
    ):
        names = [metric.name for metric in flatten("baselines", baselines)]
        if len(set(names)) < len(names):
            raise ValueError(
                "Argument `baselines` must name each metric once. Received: "
                f"{names}"
            )
        # Says what is wrong now, not after an epoch.
        relative_gains(baselines, baselines, higher_is_better)
        super().__init__(names, prefix)
        self.baselines = baselines
        self.higher_is_better = higher_is_better

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        values = self.read(logs)
        if values is None or logs is None:
            return
        results = {
            task: {name: values[name] for name in of_task}
            if isinstance(of_task, Mapping)
            else values[task]
            for task, of_task in self.baselines.items()
        }
        logs["delta_m"] = delta_m(
            results, self.baselines, self.higher_is_better
        )
        logs["delta_p"] = delta_p(
            results, self.baselines, self.higher_is_better
        )
