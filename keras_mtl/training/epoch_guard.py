"""What must happen between the epochs of a fit."""

import logging

import keras

from keras_mtl import backend
from keras_mtl.training.weight_averages import start_averages

LOGGER = logging.getLogger("keras_mtl")


def with_guards(callbacks, model, dataset=None):
    """Returns callbacks with those that training needs around them.

    Args:
        callbacks: What `fit` was given.
        model: The model that is trained.
        dataset: A data set whose `set_epoch` is called at the start of each
            epoch, or `None`.
    """
    first: list[keras.callbacks.Callback] = []
    last: list[keras.callbacks.Callback] = []
    if dataset is not None:
        first.append(DatasetEpoch(dataset))
    if model.strategy is not None:
        first.append(EpochTeller())
        last.append(EpochGuard(_restores(callbacks)))
    if isinstance(callbacks, keras.callbacks.CallbackList):
        # Keras takes it as it is.
        for guard in (*first, *last):
            guard.set_model(model)
        callbacks.callbacks[:] = [*first, *callbacks.callbacks, *last]
        return callbacks
    if callbacks is None:
        callbacks = []
    if not isinstance(callbacks, (list, tuple)):
        callbacks = [callbacks]
    return [*first, *callbacks, *last]


def watches_tasks(callbacks) -> bool:
    """Whether one of the callbacks reads the model's `task_statistics`."""
    return any(getattr(c, "watches_tasks", False) for c in _listed(callbacks))


def _restores(callbacks):
    """Whether one of the callbacks may begin with a later epoch."""
    return any(
        isinstance(callback, keras.callbacks.BackupAndRestore)
        for callback in _listed(callbacks)
    )


def _listed(callbacks):
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks.callbacks
    return callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]


class DatasetEpoch(keras.callbacks.Callback):
    """Ties the epochs of a data set to those of `fit`.

    Args:
        dataset: Has `set_epoch`.
    """

    def __init__(self, dataset):
        super().__init__()
        self.dataset = dataset

    def on_epoch_begin(self, epoch, logs=None):
        self.dataset.set_epoch(epoch)


class EpochTeller(keras.callbacks.Callback):
    """Has all replicas begin alike; tells the strategy of ends of epochs.

    It comes before the user's callbacks, so that a model which they save
    knows of it.
    """

    def on_train_begin(self, logs=None):
        model = self.model
        model.checkpoint_record.finished_epochs = None
        backend.synchronize([*model.variables, *model.optimizer.variables])
        if model.optimizer.built:
            start_averages(model.optimizer, model.network_variables(True))

    def on_epoch_end(self, epoch, logs=None):
        self.model.strategy.end_epoch()
        self.model.checkpoint_record.finished_epochs = epoch + 1


class EpochGuard(keras.callbacks.Callback):
    """Notices frozen layers, and reports what went wrong.

    It comes after the user's callbacks, so that what they change at the start
    of an epoch takes effect in it.

    Args:
        restores: Whether a callback may have restored a backup.
    """

    def __init__(self, restores=False):
        super().__init__()
        self.restores = restores

    def on_epoch_begin(self, epoch, logs=None):
        if self.restores:
            self._check_restored(epoch)
        self.model.make_train_function()

    def _check_restored(self, epoch):
        """Refuses weights of one epoch that are taken for another's.

        Keras writes the weights first and the number of the epoch then: in
        between, a process can be killed.
        """
        restored = self.model.checkpoint_record.finished_epochs
        if restored not in (None, epoch):
            raise ValueError(
                f"The backup has the weights of {restored} finished epochs, "
                f"but says that it is of {epoch}: the process was stopped "
                "between its two files. Write "
                f'{{"epoch": {restored}, "batch": 0}} to its '
                "training_metadata.json, and start again."
            )

    def on_epoch_end(self, epoch, logs=None):
        self.model.check_finite()
        for notice in self.model.strategy.notices():
            LOGGER.warning("Epoch %d: %s", epoch + 1, notice)
