"""What aggregators, balancers, flatness regularizers and strategies share."""

import keras


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
