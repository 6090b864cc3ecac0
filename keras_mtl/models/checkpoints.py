"""Saving and loading a model's files, as a whole or not at all."""

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
from keras_mtl.models.checkpoint_record import CheckpointRecord
from keras_mtl.models.checkpoint_record import check_sums
from keras_mtl.models.checkpoint_record import record_of
from keras_mtl.models.reach import Reach
from keras_mtl.models.strategy_state import Snapshot
from keras_mtl.models.strategy_state import check_state
from keras_mtl.models.strategy_state import has_state


class Checkpoints(keras.Model):
    """The part of `MultiTaskModel` that saves and loads.

    A file is written beside its place and moved there when it is whole, so
    that a process that is killed while it saves leaves the file of before.
    Loading that fails leaves the model as it was.
    """

    @property
    def checkpoint_record(self) -> CheckpointRecord:
        """What `.keras` and weight files say of strategy and tasks."""
        return self._settings.checkpoint_record

    def save(self, filepath, overwrite=True, zipped=None, **kwargs):
        """Saves the model as `keras.Model.save` does, the file at once.

        Args:
            filepath (str | os.PathLike): As for `keras.Model.save`. A
                `.keras` file on this machine is there as a whole or as it was
                before, whenever the process is stopped.
            overwrite (bool): As for `keras.Model.save`.
            zipped (bool | None): As for `keras.Model.save`.
            **kwargs (Any): As for `keras.Model.save`.
        """
        self._attach_state()
        save = super().save
        if (
            _is_replaceable(filepath, ".keras", overwrite)
            and zipped is not False
        ):
            with replaced_at_once(Path(filepath)) as temporary:
                save(temporary, zipped=zipped, **kwargs)
        else:
            save(filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_weights(self, filepath, overwrite=True, max_shard_size=None):
        """Saves the weights as `keras.Model.save_weights` does, at once.

        The state of the optimizer and of the strategy goes with them.

        Args:
            filepath (str | os.PathLike): As for `keras.Model.save_weights`.
                A single file on this machine is there as a whole or as it was
                before, whenever the process is stopped.
            overwrite (bool): As for `keras.Model.save_weights`.
            max_shard_size (float | None): As for `keras.Model.save_weights`.
        """
        self._attach_state()
        save = super().save_weights
        if max_shard_size is None and _is_replaceable(
            filepath, ".weights.h5", overwrite
        ):
            with replaced_at_once(Path(filepath)) as temporary:
                save(temporary)
        else:
            save(filepath, overwrite, max_shard_size)

    def load_weights(
        self,
        filepath: str | os.PathLike,
        skip_mismatch: bool = False,
        weights_only: bool = False,
        **kwargs: Any,
    ) -> None:
        """Loads weights and the state of optimizer and strategy.

        If anything fails, all of it is as it was before.

        Args:
            filepath: As for `keras.Model.load_weights`.
            skip_mismatch: As for `keras.Model.load_weights`. The state of
                another strategy, or for other tasks, is left out then, with
                a warning.
            weights_only: Whether the optimizer, the strategy and the random
                numbers stay as they are, and the network's weights alone are
                loaded, from a `.weights.h5` file. Defaults to `False`.
            **kwargs: As for `keras.Model.load_weights`.

        Raises:
            ValueError: If the file is of another strategy or of other tasks,
                or does not fit the model.
            OSError: If the file is damaged.
            zipfile.BadZipFile: If a byte of a `.keras` file was changed.
        """
        check_sums(filepath)
        self._attach_state()
        skipped = list(kwargs.pop("objects_to_skip", None) or [])
        left_out = None
        if weights_only:
            skipped += self._all_but_weights(filepath)
        else:
            try:
                self._check_training(filepath)
            except ValueError as error:
                if not skip_mismatch:
                    raise
                warnings.warn(str(error), stacklevel=2)
                left_out = Snapshot(self.strategy.variables, self.strategy)
                if not str(filepath).endswith(".keras"):
                    skipped += [self.strategy, self.checkpoint_record]
        if skipped:
            kwargs["objects_to_skip"] = skipped
        with self._unchanged_on_error():
            super().load_weights(filepath, skip_mismatch, **kwargs)
            if left_out is not None:
                left_out.restore()

    def get_compile_config(self):
        config = super().get_compile_config()
        if not config:
            return config
        settings = self._settings
        return {
            **config,
            **settings.compiled.get_config(),
            "strategy": self.strategy
            and keras.saving.serialize_keras_object(self.strategy),
            "reach": settings.reach and settings.reach.indices,
        }

    def compile_from_config(self, config):
        config = dict(config)
        strategy = config.pop("strategy", None)
        reach = config.pop("reach", None)
        if strategy is not None:
            strategy = strategies.deserialize(strategy)
        if reach is not None and self.built:
            # What was found on a batch decides on the shapes of the state.
            self._settings.reach = Reach.from_indices(
                self._reach_key(list(reach)),
                self.network_variables(True),
                reach,
            )
        config = keras.saving.deserialize_keras_object(config)
        self.compile(**config, strategy=strategy)
        if self.built:
            # State is loaded into it next.
            if not self.optimizer.built:
                # A `LossScaleOptimizer` built twice has its state twice.
                self.optimizer.build(self.network_variables(True))
            self.strategy_in_use.settle()

    def _attach_state(self):
        """Has the model's values with the model in the middle of an epoch.

        On JAX the trainer has them then, and gives them to callbacks that ask
        for their model; others may have the model from elsewhere.
        """
        sync = getattr(self, "jax_state_sync", None)
        if sync is not None:
            sync()

    def _check_training(self, filepath):
        """Raises `ValueError` for state that the strategy cannot go on from."""
        strategy = self.strategy
        if strategy is not None and self.compiled and not strategy.built:
            self.strategy_in_use.settle()
            strategy = self.strategy
        self.checkpoint_record.check(record_of(filepath), str(filepath))
        if strategy is None or not self.compiled:
            return
        if strategy.built:
            check_state(strategy, filepath)
        elif has_state(filepath):
            raise ValueError(
                f"{filepath} has state of {strategy.nested_names}, which the "
                "model has no place for yet: call the model on a batch, "
                "`model(x)`, and load then."
            )

    def _all_but_weights(self, filepath):
        if not str(filepath).endswith((".weights.h5", ".weights.json")):
            raise ValueError(
                "`weights_only=True` is for files of `save_weights`. Of a "
                "`.keras` file, take the model without optimizer and strategy: "
                "`keras.saving.load_model(path, compile=False)`. Received: "
                f"filepath={filepath}"
            )
        parts = [
            getattr(self, "optimizer", None),
            self.strategy,
            self.random_state,
            self.checkpoint_record,
            *self.metrics,
        ]
        return [part for part in parts if part is not None]

    @contextlib.contextmanager
    def _unchanged_on_error(self) -> Iterator[None]:
        """Sets all state back to what it was if something is raised."""
        optimizer = getattr(self, "optimizer", None)
        variables = [
            *self.variables,
            *self.metrics_variables,
            *([] if optimizer is None else optimizer.variables),
        ]
        before = Snapshot(variables, self.strategy)
        record, random_state = self.checkpoint_record, self.random_state
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
