"""What must happen between the epochs of a fit."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import keras

from keras_mtl import backend
from keras_mtl.training.weight_averages import start_averages

LOGGER = logging.getLogger("keras_mtl")


@contextlib.contextmanager
def guarded(callbacks: Any, model: Any, dataset: Any = None) -> Iterator[Any]:
    """Puts callbacks that training needs around those that `fit` was given.

    Args:
        callbacks: What `fit` was given.
        model: The model that is trained.
        dataset: A data set whose `set_epoch` is called at the start of each
            epoch, or `None`.

    Yields:
        Callbacks for Keras's `fit`. A `CallbackList` is the one that was
        given, and is as it was afterwards.
    """
    first = [EpochCounter()]
    given, last = _listed(callbacks), []
    if dataset is not None:
        first.append(DatasetEpoch(dataset))
    if model.strategy is not None:
        first.append(EpochTeller())
        given = _with_checked_backups(given)
        last.append(EpochGuard())
    result = [*first, *given, *last]
    try:
        if isinstance(callbacks, keras.callbacks.CallbackList):
            # Keras takes it as it is.
            with _in_list(callbacks, result, model):
                yield callbacks
        else:
            yield result
    finally:
        model.checkpoint_record.is_counting = False


@contextlib.contextmanager
def _in_list(
    callback_list: keras.callbacks.CallbackList,
    result: list[keras.callbacks.Callback],
    model: Any,
) -> Iterator[None]:
    """Has a `CallbackList` call the callbacks in `result` for a while."""
    known = {id(callback) for callback in callback_list.callbacks}
    guards = [callback for callback in result if id(callback) not in known]
    for guard in guards:
        guard.set_model(model)
    callback_list.callbacks[:] = result
    try:
        yield
    finally:
        # Callbacks may have changed the list themselves.
        added = {id(guard) for guard in guards}
        callback_list.callbacks[:] = [
            callback
            for callback in callback_list.callbacks
            if id(callback) not in added
        ]


def watches_tasks(callbacks: Any) -> bool:
    """Whether one of the callbacks reads the model's `task_statistics`."""
    return any(getattr(c, "watches_tasks", False) for c in _listed(callbacks))


def _listed(callbacks: Any) -> list[Any]:
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return list(callbacks.callbacks)
    return [] if callbacks is None else keras.tree.flatten(callbacks)


def _with_checked_backups(callbacks: list[Any]) -> list[Any]:
    result = []
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.BackupAndRestore):
            before = BeforeBackup()
            result += [before, callback, AfterBackup(before)]
        else:
            result.append(callback)
    return result


class EpochCounter(keras.callbacks.Callback):
    """Counts the epochs that are over, for the files of the model.

    It comes before the user's callbacks, so that a model which they save
    knows of it.
    """

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.model.checkpoint_record.finished_epochs = None

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self.model.checkpoint_record.count(epoch)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self.model.checkpoint_record.count(epoch + 1)


class DatasetEpoch(keras.callbacks.Callback):
    """Ties the epochs of a data set to those of `fit`.

    Args:
        dataset: Has `set_epoch`.
    """

    def __init__(self, dataset: Any):
        super().__init__()
        self.dataset = dataset

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self.dataset.set_epoch(epoch)


class EpochTeller(keras.callbacks.Callback):
    """Has all replicas begin alike; tells the strategy of ends of epochs.

    It comes before the user's callbacks, so that a model which they save
    knows of it.
    """

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        model = self.model
        model.forget_failures()
        backend.synchronize([*model.variables, *model.optimizer.variables])
        if model.optimizer.built:
            start_averages(model.optimizer, model.network_variables(True))

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self.model.strategy.end_epoch()


class BeforeBackup(keras.callbacks.Callback):
    """Comes right before a `BackupAndRestore`, to see what it restores."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        record = self.model.checkpoint_record
        self.finished_epochs = record.finished_epochs
        record.finished_epochs = None


class AfterBackup(keras.callbacks.Callback):
    """Refuses weights of one epoch that are taken for another's.

    Keras writes the weights first and the number of the epoch then: in
    between, a process can be killed. It comes right after the
    `BackupAndRestore`: what others load is none of its business.

    Args:
        before: The callback before it.
    """

    def __init__(self, before: "BeforeBackup"):
        super().__init__()
        self.before = before

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        record = self.model.checkpoint_record
        self.restored = record.finished_epochs
        if self.restored is None:
            record.finished_epochs = self.before.finished_epochs

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        restored, self.restored = self.restored, None
        if restored not in (None, epoch):
            raise ValueError(
                f"The backup has the weights of {restored} finished epochs, "
                f"but says that it is of {epoch}: the process was stopped "
                "between its two files. Write "
                f'{{"epoch": {restored}, "batch": 0}} to its '
                "training_metadata.json, and start again."
            )


class EpochGuard(keras.callbacks.Callback):
    """Notices frozen layers, and reports what went wrong.

    It comes after the user's callbacks, so that what they change at the start
    of an epoch takes effect in it.
    """

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self.model.make_train_function()

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self.model.check_finite()
        for notice in self.model.strategy.notices():
            LOGGER.warning("Epoch %d: %s", epoch + 1, notice)
