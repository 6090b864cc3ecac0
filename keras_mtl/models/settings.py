"""What `compile` was told, kept where Keras does not track it."""

from collections.abc import Callable
from typing import Any

import keras

from keras_mtl.models.checkpoint_record import CheckpointRecord
from keras_mtl.models.random_state import RandomState
from keras_mtl.models.reach import Reach
from keras_mtl.models.task_losses import TaskLosses
from keras_mtl.strategies import Strategy
from keras_mtl.training.monitor import StepMonitor
from keras_mtl.training.task_statistics import TaskStatistics


class Settings:
    """A plain holder of a model's training set-up.

    Neither a layer nor a container: Keras, torch and TensorFlow track neither
    it nor what it holds. A strategy assigned to the model itself would become
    one of its layers, could not be replaced once the model is built, and would
    add its state to the model's weights.

    Args:
        model: The `MultiTaskModel` whose settings these are.
    """

    def __init__(self, model):
        self.random_state = RandomState(model)
        self.checkpoint_record = CheckpointRecord(model)
        self.strategy: Strategy | None = None
        #: Returns what the user has given, while it is there; the strategy
        #: may be a copy of it.
        self.given: Callable[[], Any] = lambda: None
        self.built_for: tuple[list[str], list[str]] | None = None
        self.monitor: StepMonitor | None = None
        self.statistics: TaskStatistics | None = None
        self.on_nonfinite = "raise"
        self.losses: TaskLosses | None = None
        self.user_loss: Any = None
        self.user_loss_weights: Any = None
        self.user_metrics: Any = None
        self.user_weighted_metrics: Any = None
        self.has_metrics = False
        self.plan = None
        self.optimized: set[int] | None = None
        self.network_tasks = None
        self.reach: Reach | None = None
        #: The plan that a batch was looked at with.
        self.looked = None
        self.check = "first"
        self.input_spec = None
        self.entangled_tasks: set[str] = set()
        self.hidden = False

    @property
    def variables(self) -> list[Any]:
        """State that rides along with the model's variables in training."""
        if self.strategy is None or self.hidden:
            return []
        monitor = [] if self.monitor is None else self.monitor.variables
        if self.statistics is not None:
            monitor = [*monitor, *self.statistics.variables]
        data = self.strategy.balancer.data_variables
        return [*self.strategy.variables, *data, *monitor]


def spec_of(inputs: Any) -> Any:
    """Returns shapes and dtypes of inputs, as symbolic tensors."""
    return keras.tree.map_structure(
        lambda x: (
            keras.KerasTensor(
                tuple(x.shape), dtype=keras.backend.standardize_dtype(x.dtype)
            )
            if hasattr(x, "shape")
            else None
        ),
        inputs,
    )


def same_settings(strategy: Strategy, current: Strategy | None) -> bool:
    """Tells whether two strategies differ in nothing but their names."""
    if current is None or type(strategy) is not type(current):
        return False
    given, known = strategy.balancer, current.balancer
    if not given.uses_passes and _identities(given) != _identities(known):
        return False
    return _without_names(strategy.get_config()) == _without_names(
        current.get_config()
    )


def _identities(balancer):
    """Which variables of the user's a balancer reads."""
    return [id(variable) for variable in balancer.data_variables]


def _without_names(config):
    if isinstance(config, dict):
        return {k: _without_names(v) for k, v in config.items() if k != "name"}
    if isinstance(config, (list, tuple)):
        return [_without_names(item) for item in config]
    return config
