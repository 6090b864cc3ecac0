"""Mean rank of methods over metrics."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_mtl.export import keras_mtl_export
from keras_mtl.metrics.task_results import Results
from keras_mtl.metrics.task_results import check_same
from keras_mtl.metrics.task_results import directions
from keras_mtl.metrics.task_results import named
from keras_mtl.metrics.task_results import numbers


@keras_mtl_export("keras_mtl.metrics.mean_rank")
def mean_rank(
    results: Mapping[str, Results], higher_is_better: Any
) -> dict[str, float]:
    """Returns the mean rank of each method over all metrics.

    On each metric the methods are ranked, 1 for the best; those that are
    equal share the mean of their ranks. Lower is better. It does not see by
    how much methods differ, and depends on which ones are compared: give the
    list with the number.

    Args:
        results: Dict from methods to results, of the form that
            `keras_mtl.metrics.delta_m` takes, all of the same metrics.
        higher_is_better: As for `keras_mtl.metrics.delta_m`.

    Returns:
        Dict from methods to mean ranks.

    Raises:
        ValueError: If methods differ in tasks or metrics, or a value is NaN.

    Example:

    ```python
    keras_mtl.metrics.mean_rank(
        {
            "ew": {"accuracy": 0.8, "error": 0.3},
            "db_mtl": {"accuracy": 0.9, "error": 0.3},
        },
        higher_is_better={"accuracy"},
    )  # {"ew": 1.75, "db_mtl": 1.25}
    ```

    References:
        Navon et al., Multi-Task Learning as a Bargaining Game, ICML 2022,
        section 6, [arXiv:2202.01017](https://arxiv.org/abs/2202.01017).
    """
    if not isinstance(results, Mapping) or not results:
        raise ValueError(
            "Argument `results` must be a dict from methods to results, not "
            f"empty. Received: results={results!r}"
        )
    values = {
        method: numbers(f"results[{method!r}]", named(of_method))
        for method, of_method in results.items()
    }
    metrics = list(next(iter(values.values())))
    for method, of_method in values.items():
        check_same(f"results[{method!r}]", of_method, metrics)
    flags = directions(higher_is_better, metrics)
    signs = np.array([-1.0 if flags[metric] else 1.0 for metric in metrics])
    table = signs * [
        [of_method[metric] for metric in metrics]
        for of_method in values.values()
    ]
    if np.isnan(table).any():
        row, column = np.argwhere(np.isnan(table))[0]
        raise ValueError(
            f"NaN has no rank. Received it for {metrics[column].path!r} of "
            f"{list(values)[row]!r}. Leave the method out."
        )
    # [method, other method, metric]
    better = (table[None] < table[:, None]).sum(axis=1)
    equal = (table[None] == table[:, None]).sum(axis=1)
    ranks = (better + (equal + 1) / 2).mean(axis=1)
    return dict(zip(values, ranks.tolist(), strict=True))
