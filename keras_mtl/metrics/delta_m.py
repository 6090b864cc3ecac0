"""Mean relative drop over metrics."""

from typing import Any

import numpy as np

from keras_mtl.export import keras_mtl_export
from keras_mtl.metrics.task_results import Results
from keras_mtl.metrics.task_results import named
from keras_mtl.metrics.task_results import relative_gains


@keras_mtl_export("keras_mtl.metrics.delta_m")
def delta_m(
    results: Results, baselines: Results, higher_is_better: Any
) -> float:
    """Returns by how many percent metrics are worse than a baseline's.

    The mean over all metrics of the relative drop; lower is better, and what
    is negative is better than the baseline, usually a model per task. A task
    with many metrics has as many votes: see `keras_mtl.metrics.delta_p` for
    the mean over tasks, whose sign may differ.

    `100 / S sum_j (-1)^d_j (M_j - B_j) / B_j`, with `d_j = 1` if higher is
    better and 0 otherwise, over `S` metrics `M_j` with baselines `B_j`

    Args:
        results: Dict by task of dicts by metric. A number stands for a task
            with one metric, so a dict by metric will do as well. A list or
            array in place of a dict names tasks or metrics by position.
        baselines: The same of what to compare with: positive numbers.
        higher_is_better: Which metrics are better if they are higher: a set
            of their names; a dict of bools by name, by task, or of the form
            of `results`; a sequence of bools in the order of `results`; or
            one bool for all.

    Returns:
        The drop in percent.

    Raises:
        ValueError: If the tasks or metrics differ, a baseline is not
            positive, or `higher_is_better` names what is no metric.

    Example:

    ```python
    drop = keras_mtl.metrics.delta_m(
        {"segmentation": {"miou": 39.6}, "depth": {"error": 0.52}},
        baselines={"segmentation": {"miou": 40.0}, "depth": {"error": 0.5}},
        higher_is_better={"miou"},
    )
    round(drop, 6)  # 2.5: 1 % and 4 %
    ```

    References:
        Maninis et al., Attentive Single-Tasking of Multiple Tasks, CVPR 2019,
        equation 4, [arXiv:1904.08918](https://arxiv.org/abs/1904.08918);
        with this sign and over metrics in Navon et al., Multi-Task Learning
        as a Bargaining Game, ICML 2022,
        [arXiv:2202.01017](https://arxiv.org/abs/2202.01017).
    """
    gains = relative_gains(named(results), named(baselines), higher_is_better)
    return float(-np.mean(list(gains.values())))
