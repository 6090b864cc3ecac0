"""Saving and loading a model's files, as a whole or not at all.

A file is written beside its place and moved there when it is whole, so that a
process that is killed while it saves leaves the file of before. Loading that
fails leaves the model as it was.
"""

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from keras_mtl import backend
from keras_mtl import strategies
from keras_mtl.atomic_files import replaced_at_once
from keras_mtl.models.checkpoint_record import check_sums
from keras_mtl.models.checkpoint_record import record_of
from keras_mtl.models.resolve_losses import as_tasks
from keras_mtl.models.resolve_losses import resolve_losses
from keras_mtl.models.strategy_state import Snapshot
from keras_mtl.models.strategy_state import check_state
from keras_mtl.models.strategy_state import has_state


@contextlib.contextmanager
def written_at_once(
    filepath: Any, suffix: str, overwrite: bool
) -> Iterator[Any]:
    """Yields where to write a file, which is then moved to its place.

    That is the place itself where nothing can be moved to.

    Args:
        filepath: The place.
        suffix: How the names of the model's files end.
        overwrite: Whether a file that is there is overwritten.
    """
    if _is_replaceable(filepath, suffix, overwrite):
        with replaced_at_once(Path(filepath)) as temporary:
            yield temporary
    else:
        yield filepath


@contextlib.contextmanager
def loading(
    model: Any,
    filepath: str | os.PathLike,
    skip_mismatch: bool,
    weights_only: bool,
) -> Iterator[list[Any]]:
    """Yields what to leave out of a file, after checks of the file.

    If what is done within fails, all state is as it was before.

    Args:
        model: A `MultiTaskModel`.
        filepath: As for `MultiTaskModel.load_weights`.
        skip_mismatch: As for `MultiTaskModel.load_weights`.
        weights_only: As for `MultiTaskModel.load_weights`.
    """
    check_sums(filepath)
    attach_state(model)
    skipped: list[Any] = []
    left_out = None
    if weights_only:
        skipped = _all_but_weights(model, filepath)
    else:
        try:
            _check_training(model, filepath)
        except ValueError as error:
            if not skip_mismatch:
                raise
            warnings.warn(str(error), stacklevel=4)
            left_out = Snapshot(model.strategy.variables, model.strategy)
            if not str(filepath).endswith(".keras"):
                skipped = [model.strategy, model.checkpoint_record]
    with _unchanged_on_error(model):
        yield skipped
        if left_out is not None:
            left_out.restore()


def strategy_config(model: Any) -> dict[str, Any]:
    """Returns what Keras's config of `compile` has no place for."""
    return {
        "strategy": model.strategy
        and keras.saving.serialize_keras_object(model.strategy),
        "reach": model.task_structure.reach_indices,
    }


def compile_from_config(model: Any, config: dict[str, Any]) -> None:
    """Compiles a model that is loaded, so that its state can be loaded next.

    Args:
        model: A `MultiTaskModel`.
        config: What its `get_compile_config` has returned.
    """
    config = dict(config)
    strategy = config.pop("strategy", None)
    reach = config.pop("reach", None)
    if strategy is not None:
        strategy = strategies.deserialize(strategy)
    config = keras.saving.deserialize_keras_object(config)
    if reach is not None and model.built:
        # What was found on a batch decides on the shapes of the state.
        losses, _ = resolve_losses(
            as_tasks(config["loss"]), None, model.task_structure.output_names
        )
        model.task_structure.set_reach(
            reach,
            {task: it.reads.output_names for task, it in losses.items()},
        )
    model.compile(**config, strategy=strategy)
    if model.built:
        if not model.optimizer.built:
            # A `LossScaleOptimizer` built twice has its state twice.
            model.optimizer.build(model.network_variables(True))
        model.strategy_in_use.settle()


def attach_state(model: Any) -> None:
    """Has the model's values with the model in the middle of an epoch.

    On JAX the trainer has them then, and gives them to callbacks that ask
    for their model; others may have the model from elsewhere.
    """
    sync = getattr(model, "jax_state_sync", None)
    if sync is not None:
        sync()


def _check_training(model: Any, filepath: str | os.PathLike) -> None:
    """Raises `ValueError` for state that the strategy cannot go on from."""
    strategy = model.strategy
    if strategy is not None and model.compiled and not strategy.built:
        model.strategy_in_use.settle()
        strategy = model.strategy
    model.checkpoint_record.check(record_of(filepath), str(filepath))
    if strategy is None or not model.compiled:
        return
    if strategy.built:
        check_state(strategy, filepath)
    elif has_state(filepath):
        raise ValueError(
            f"{filepath} has state of {strategy.nested_names}, which the "
            "model has no place for yet: call the model on a batch, "
            "`model(x)`, and load then."
        )


def _all_but_weights(model: Any, filepath: str | os.PathLike) -> list[Any]:
    if not str(filepath).endswith((".weights.h5", ".weights.json")):
        raise ValueError(
            "`weights_only=True` is for files of `save_weights`. Of a "
            "`.keras` file, take the model without optimizer and strategy: "
            "`keras.saving.load_model(path, compile=False)`. Received: "
            f"filepath={filepath}"
        )
    parts = [
        getattr(model, "optimizer", None),
        model.strategy,
        model.random_state,
        model.checkpoint_record,
        *model.metrics,
    ]
    return [part for part in parts if part is not None]


@contextlib.contextmanager
def _unchanged_on_error(model: Any) -> Iterator[None]:
    """Sets all state back to what it was if something is raised."""
    optimizer = getattr(model, "optimizer", None)
    variables = [
        *model.variables,
        *model.metrics_variables,
        *([] if optimizer is None else optimizer.variables),
    ]
    before = Snapshot(variables, model.strategy)
    record, random_state = model.checkpoint_record, model.random_state
    finished_epochs = record.finished_epochs
    draws_globally = random_state.draws_globally
    random_numbers = backend.global_random_state()
    is_done = False
    try:
        yield
        is_done = True
    finally:
        if not is_done:
            before.restore()
            record.finished_epochs = finished_epochs
            random_state.draws_globally = draws_globally
            backend.set_global_random_state(random_numbers)


def _is_replaceable(filepath: Any, suffix: str, overwrite: bool) -> bool:
    """Whether a file on this machine can be written beside its place."""
    if not isinstance(filepath, (str, os.PathLike)):
        return False
    path = Path(filepath)
    # Keras asks before it overwrites; what is elsewhere, a device, or in a
    # folder that must stay as it is has no renaming.
    return (
        str(filepath).endswith(suffix)
        and "://" not in str(filepath)
        and os.access(Path(os.path.realpath(path)).parent, os.W_OK)
        and (not path.exists() or (overwrite and path.is_file()))
    )
