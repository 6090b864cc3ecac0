"""Methods of Keras that a model may override, and what strategies need."""

import inspect
import itertools
from collections.abc import Callable
from typing import Any


def overrides(model: Any, name: str) -> list[Callable[..., Any]]:
    """Returns what stands before the library's own method of a model.

    Args:
        model: A `MultiTaskModel`.
        name: Name of the method.
    """
    own = itertools.takewhile(
        lambda cls: not cls.__module__.startswith(("keras_mtl.", "keras.")),
        type(model).__mro__,
    )
    return [vars(owner)[name] for owner in (model, *own) if name in vars(owner)]


def check_hooks(model: Any) -> None:
    """Raises `ValueError` if a strategy would not get to what is overridden.

    Args:
        model: A `MultiTaskModel` that is to train by a strategy.
    """
    if overrides(model, "compute_loss"):
        raise ValueError(
            f"{type(model).__name__} overrides `compute_loss`, which gives one "
            "number for all tasks: a strategy needs the loss of each. Override "
            "`compute_task_losses(x, y, y_pred, sample_weight, training)`, "
            "which returns a dict by task; a term that belongs to no task can "
            "be given to `add_loss` in `call`, and what is only to be shown "
            "to `compute_metrics`. Or train with `strategy=None`."
        )
    if not all(map(_passes_on, overrides(model, "train_step"))):
        raise ValueError(
            f"{type(model).__name__} overrides `train_step` and does not call "
            "`super().train_step`, which is where a strategy makes its update. "
            "Call it there, or override `compute_task_losses` for losses of "
            "your own, or train with `strategy=None`."
        )


def _passes_on(step: Callable[..., Any]) -> bool:
    """Whether the code of a `train_step` names the method that it stands for.

    Which is more than to call it at times only, but less than never.
    """
    code = getattr(inspect.unwrap(step), "__code__", None)
    found = [] if code is None else [code]
    for code in found:
        # Functions within it, too, as one writes them for compilers.
        found.extend(filter(inspect.iscode, code.co_consts))
    return any("train_step" in code.co_names for code in found)
