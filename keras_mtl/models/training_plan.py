"""Everything the training step must know, settled before it is traced."""

import dataclasses

import keras

from keras_mtl import backend
from keras_mtl.models.partition import Partition
from keras_mtl.strategies import Strategy
from keras_mtl.training.monitor import StepMonitor


@dataclasses.dataclass
class TrainingPlan:
    """What `compile` and the state of the layers have settled.

    Attributes:
        partition: Which variables serve which tasks.
        strategy: The strategy, built.
        state_variables: The non-trainable variables of the network.
        monitor: Notes of non-finite steps.
        on_nonfinite: `"raise"`, `"skip"` or `"ignore"`.
        fingerprint: Identifies what the plan was made for.
    """

    partition: Partition
    strategy: Strategy
    state_variables: list[keras.Variable]
    monitor: StepMonitor
    on_nonfinite: str
    fingerprint: tuple


def fingerprint(model) -> tuple:
    """Changes whenever the plan must be made anew."""
    return (
        id(model.strategy),
        tuple(model.tasks),
        tuple(id(variable) for variable in model.network_variables(True)),
        tuple(id(variable) for variable in model.network_variables(False)),
    )


def make_plan(model, settings) -> TrainingPlan:
    """Makes the plan of a built and compiled model.

    Args:
        model: A `MultiTaskModel`.
        settings: Its `Settings`.
    """
    backend.check_devices()
    trainable = model.network_variables(True)
    partition = Partition(model.tasks, trainable, model.find_reach())
    shapes = [tuple(v.shape) for v in partition.shared_variables]
    dtype = "float64" if keras.config.floatx() == "float64" else "float32"
    strategy = settings.strategy
    paths = [variable.path for variable in partition.shared_variables]
    with backend.build_scope(model):
        if not strategy.built:
            strategy.build(len(model.tasks), shapes, dtype)
        elif settings.built_for != (list(model.tasks), paths):
            # A trained moving average of other variables or tasks means
            # nothing here.
            strategy = type(strategy).from_config(strategy.get_config())
            strategy.build(len(model.tasks), shapes, dtype)
            settings.strategy = strategy
        settings.built_for = (list(model.tasks), paths)
        if settings.monitor is None or settings.monitor.tasks != model.tasks:
            settings.monitor = StepMonitor(model.tasks, name="step_monitor")
        if not model.optimizer.built:
            model.optimizer.build(trainable)
    return TrainingPlan(
        partition=partition,
        strategy=strategy,
        state_variables=model.network_variables(False),
        monitor=settings.monitor,
        on_nonfinite=strategy.on_nonfinite or settings.on_nonfinite,
        fingerprint=fingerprint(model),
    )
