"""The end of training, judged by all tasks."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_mtl.arguments import checked_choice
from keras_mtl.arguments import checked_integer
from keras_mtl.arguments import checked_number
from keras_mtl.callbacks.epoch_results import EpochResults
from keras_mtl.export import keras_mtl_export
from keras_mtl.metrics.delta_m import delta_m
from keras_mtl.metrics.mean_rank import mean_rank
from keras_mtl.metrics.task_results import relative_gains

RULES = ("delta_m", "mean_rank", "any", "all")


@keras_mtl_export("keras_mtl.callbacks.MTLEarlyStopping")
class MTLEarlyStopping(EpochResults):
    """Stops training when the tasks together no longer improve.

    Tasks are at their best in different epochs, and the sum of their losses
    is mostly about the one with the largest. The rule says what counts:

    | `rule` | stops when |
    |---|---|
    | `"delta_m"` | the mean relative drop against `baselines` does not fall |
    | `"mean_rank"` | no epoch beats the best one in the mean of ranks |
    | `"any"` | one metric does not improve |
    | `"all"` | no metric improves |

    each for `patience` epochs. For the mean rank, all epochs so far are
    ranked on every metric; an epoch becomes the best if its mean rank is
    better than that of the best so far, at that time. It needs no baselines
    and is blind to how much is gained, so that it stops rather early.

    The best epoch is the one with the lowest `delta_m` if that is the rule,
    else the best in the mean of ranks. A metric that is NaN has not improved,
    and its epoch is not the best.

    Args:
        rule: `"delta_m"`, `"mean_rank"`, `"any"` or `"all"`. Defaults to
            `"mean_rank"`.
        patience: For how many epochs to wait; 0 and 1 stop at the first one
            without improvement. Defaults to `0`.
        min_delta: By how much more than nothing to improve: percent for
            `"delta_m"`, ranks for `"mean_rank"`, else in the units of the
            metrics. Defaults to `0.0`.
        baselines: Dict from names of metrics to positive numbers, what
            single-task models reach. For `rule="delta_m"` only. Defaults to
            `None`.
        metrics: Dict from the names of metrics in the logs, without the
            prefix, to `"min"` or `"max"`. Defaults to `None`, which is an
            error: there is no telling from a name what is better.
        restore_best_weights: Whether the model has the weights of the best
            epoch after training, stopped early or not. The states of the
            optimizer and of the strategy stay those of the last epoch: save
            checkpoints to go on from the best one. Defaults to `False`.
        start_from_epoch: The first epoch, counted from 0, that is looked at.
            Defaults to `0`.
        prefix: What the logs have before the names. Defaults to `"val_"`;
            `""` judges the metrics of training.

    Attributes:
        best_epoch: The best epoch, counted from 0; `None` before there is
            one.
        stopped_epoch: The epoch after which training was stopped; `None` if
            it was not.

    Raises:
        ValueError: If an argument is out of range; in `fit`, if the logs lack
            a metric.

    Example:

    ```python
    stopping = keras_mtl.callbacks.MTLEarlyStopping(
        rule="delta_m",
        patience=5,
        baselines={"left_accuracy": 0.93, "right_accuracy": 0.91},
        metrics={"left_accuracy": "max", "right_accuracy": "max"},
        restore_best_weights=True,
    )
    ```
    """

    def __init__(
        self,
        rule: str = "mean_rank",
        patience: int = 0,
        min_delta: float = 0.0,
        baselines: Mapping[str, float] | None = None,
        metrics: Mapping[str, str] | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
        prefix: str = "val_",
    ):
        self.rule = checked_choice("rule", rule, RULES)
        self.patience = checked_integer("patience", patience, 0)
        self.min_delta = checked_number("min_delta", min_delta)
        self.start_from_epoch = checked_integer(
            "start_from_epoch", start_from_epoch, 0
        )
        if not isinstance(metrics, Mapping) or not metrics:
            raise ValueError(
                "Argument `metrics` must be a dict from the names of metrics, "
                'such as "left_accuracy", to "min" or "max". Received: '
                f"metrics={metrics!r}"
            )
        for name, mode in metrics.items():
            checked_choice(f"metrics[{name!r}]", mode, ("min", "max"))
        if (baselines is None) == (rule == "delta_m"):
            raise ValueError(
                'Argument `baselines` goes with rule="delta_m" and no other '
                f"rule. Received: baselines={baselines}, rule={rule!r}"
            )
        super().__init__(metrics, prefix)
        self.metrics = dict(metrics)
        self.baselines = baselines
        self.restore_best_weights = bool(restore_best_weights)
        self._higher = {
            name: mode == "max" for name, mode in self.metrics.items()
        }
        if baselines is not None:
            # Says what is wrong now, not after an epoch.
            relative_gains(
                dict.fromkeys(self.metrics, 1.0), baselines, self._higher
            )
        self._start()

    def _start(self) -> None:
        self.best_epoch: int | None = None
        self.stopped_epoch: int | None = None
        self._epochs: dict[str, dict[str, float]] = {}
        self._best: dict[str, float] = {}
        self._waits: dict[str, int] = {}
        self._best_weights: list[np.ndarray] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        self._start()

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        values = self.read(logs)
        if values is None or epoch < self.start_from_epoch:
            return
        is_best = self._is_best(epoch, values)
        if is_best:
            self.best_epoch = epoch
            if self.restore_best_weights:
                self._best_weights = self.model.get_weights()
        if self.rule in ("any", "all"):
            improved = self._improved(values)
        else:
            improved = {self.rule: is_best}
        for name, has_improved in improved.items():
            wait = 0 if has_improved else self._waits.get(name, 0) + 1
            self._waits[name] = wait
        patience = max(self.patience, 1)
        is_over = [wait >= patience for wait in self._waits.values()]
        if any(is_over) if self.rule == "any" else all(is_over):
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._best_weights is not None:
            self.model.set_weights(self._best_weights)
            self._best_weights = None
        super().on_train_end(logs)

    def _is_best(self, epoch: int, values: dict[str, float]) -> bool:
        """Tells whether the epoch is better than the best so far."""
        if not all(math.isfinite(value) for value in values.values()):
            return False
        if self.baselines is not None:
            # They come with the rule "delta_m".
            score = delta_m(values, self.baselines, self._higher)
            best = self._best.get("delta_m", np.inf)
            if score < best - self.min_delta:
                self._best["delta_m"] = score
                return True
            return False
        self._epochs[str(epoch)] = values
        if self.best_epoch is None:
            return True
        ranks = mean_rank(self._epochs, self._higher)
        margin = self.min_delta if self.rule == "mean_rank" else 0.0
        best = ranks[str(self.best_epoch)]
        return ranks[str(epoch)] < best - margin

    def _improved(self, values: dict[str, float]) -> dict[str, bool]:
        """Tells for each metric whether it is better than its best so far."""
        improved = {}
        for name, value in values.items():
            loss = -value if self._higher[name] else value
            best = self._best.get(name, np.inf)
            improved[name] = loss < best - self.min_delta
            if improved[name]:
                self._best[name] = loss
        return improved
