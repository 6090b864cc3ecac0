"""What aggregators, balancers, flatness regularizers and strategies share."""

import keras
from keras import ops


class Component(keras.layers.Layer):
    """A part of the training pipeline, with state of its own.

    Its weights are never trained by the optimizer and never follow a global
    mixed-precision policy: norms and moving averages need the range of
    float32.

    Args:
        name: Optional name.
        **kwargs: Passed on to `keras.layers.Layer`.
    """

    def __init__(self, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(autocast=False, **kwargs)

    def end_epoch(self) -> None:
        """Tells the component that an epoch of training is over.

        Called outside of the training step.
        """

    def notices(self) -> list[str]:
        """Returns what the user should know of the steps since the last call.

        Called at the end of every epoch; the messages are logged.
        """
        return []

    def read_and_reset(self, counter: keras.Variable | None) -> int:
        """Returns the value of a counter on the host, and sets it to 0."""
        if counter is None:
            return 0
        value = int(ops.convert_to_numpy(counter.value))
        if value:
            counter.assign(0)
        return value

    def get_build_config(self):
        # State is made for the tasks and variables of a model, by whoever
        # uses the component: a config alone revives it without state.
        return None

    def load_own_variables(self, store):
        # A file of weights that were trained without a strategy says nothing
        # of its state, which then starts afresh; a model that is loaded
        # without being compiled has no place for it.
        if self.built and len(store.keys()) > 0:
            super().load_own_variables(store)
