"""What must happen between the epochs of a fit with a strategy."""

import keras


class EpochGuard(keras.callbacks.Callback):
    """Notices frozen layers, and reports steps that were not finite.

    It comes after the user's callbacks, so that what they change at the start
    of an epoch takes effect in it.
    """

    @classmethod
    def append_to(cls, callbacks):
        """Returns callbacks with a guard at the end."""
        guard = cls()
        if isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks.append(guard)
            return callbacks
        if callbacks is None:
            return [guard]
        if isinstance(callbacks, (list, tuple)):
            return [*callbacks, guard]
        return [callbacks, guard]

    def on_epoch_begin(self, epoch, logs=None):
        self.model.make_train_function()

    def on_epoch_end(self, epoch, logs=None):
        self.model.check_finite()
