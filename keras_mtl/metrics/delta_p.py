"""Mean relative gain over tasks."""

from typing import Any

import numpy as np

from keras_mtl.export import keras_mtl_export
from keras_mtl.metrics.task_results import Results
from keras_mtl.metrics.task_results import named
from keras_mtl.metrics.task_results import relative_gains


@keras_mtl_export("keras_mtl.metrics.delta_p")
def delta_p(
    results: Results, baselines: Results, higher_is_better: Any
) -> float:
    """Returns by how many percent tasks are better than a baseline's.

    The mean over tasks of the mean relative gain of a task's metrics; higher
    is better, and what is positive is better than the baseline, usually a
    model per task. Every task has one vote, however many metrics it has.

    It is `-delta_m` only if all tasks have the same number of metrics; on
    NYUv2, with 2, 2 and 5, one may praise what the other does not.

    `100 / T sum_t 1 / S_t sum_j (-1)^d_tj (M_tj - B_tj) / B_tj`, with
    `d_tj = 0` if higher is better and 1 otherwise, over `T` tasks with `S_t`
    metrics `M_tj` and their baselines `B_tj`

    Args:
        results: Dict by task of dicts by metric; a number stands for a task
            with one metric. Or lists in place of dicts.
        baselines: The same of what to compare with: positive numbers.
        higher_is_better: As for `keras_mtl.metrics.delta_m`.

    Returns:
        The gain in percent.

    Raises:
        ValueError: As for `keras_mtl.metrics.delta_m`.

    Example:

    ```python
    gain = keras_mtl.metrics.delta_p(
        {"segmentation": {"miou": 42.0}, "depth": {"abs": 0.5, "rel": 0.18}},
        baselines={
            "segmentation": {"miou": 40.0},
            "depth": {"abs": 0.5, "rel": 0.2},
        },
        higher_is_better={"miou"},
    )
    round(gain, 6)  # 5.0: 5 % for segmentation, 0 % and 10 % for depth
    ```

    References:
        Lin et al., Dual-Balancing for Multi-Task Learning, 2023, section 4,
        [arXiv:2308.12029](https://arxiv.org/abs/2308.12029).
    """
    gains = relative_gains(named(results), named(baselines), higher_is_better)
    by_task: dict[str, list[float]] = {}
    for metric, gain in gains.items():
        by_task.setdefault(metric.task, []).append(gain)
    return float(np.mean([np.mean(gains) for gains in by_task.values()]))
