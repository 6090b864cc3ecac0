"""Symbolic outputs by task, in the order of the tasks."""

from typing import Any

import keras


class TasksInOrder(keras.layers.Layer):
    """A layer that returns a dict by task, for its list `tasks`, and others.

    Keras sorts the keys of symbolic outputs on some backends. In a model that
    is made by going through them, the order of the tasks would be another
    than in eager calls.
    """

    tasks: tuple[str, ...]

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        specs = super().compute_output_spec(*args, **kwargs)
        others = [name for name in specs if name not in self.tasks]
        return {name: specs[name] for name in (*self.tasks, *others)}
