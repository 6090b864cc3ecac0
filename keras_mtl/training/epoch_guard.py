"""What must happen between the epochs of a fit with a strategy."""

import logging

import keras

LOGGER = logging.getLogger("keras_mtl")


def with_guards(callbacks, model):
    """Returns callbacks with those that a strategy needs around them."""
    first, last = EpochTeller(), EpochGuard()
    if isinstance(callbacks, keras.callbacks.CallbackList):
        # Keras takes it as it is.
        for guard in (first, last):
            guard.set_model(model)
        callbacks.callbacks.insert(0, first)
        callbacks.callbacks.append(last)
        return callbacks
    if callbacks is None:
        return [first, last]
    if isinstance(callbacks, (list, tuple)):
        return [first, *callbacks, last]
    return [first, callbacks, last]


class EpochTeller(keras.callbacks.Callback):
    """Tells the strategy of the end of an epoch.

    It comes before the user's callbacks, so that a model which they save
    knows of it.
    """

    def on_epoch_end(self, epoch, logs=None):
        self.model.strategy.end_epoch()


class EpochGuard(keras.callbacks.Callback):
    """Notices frozen layers, and reports what went wrong.

    It comes after the user's callbacks, so that what they change at the start
    of an epoch takes effect in it.
    """

    def on_epoch_begin(self, epoch, logs=None):
        self.model.make_train_function()

    def on_epoch_end(self, epoch, logs=None):
        self.model.check_finite()
        for notice in self.model.strategy.notices():
            LOGGER.warning("Epoch %d: %s", epoch + 1, notice)
