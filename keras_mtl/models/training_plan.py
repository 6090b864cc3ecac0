"""Everything the training step must know, settled before it is traced."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras

from keras_mtl import backend
from keras_mtl.gradients.partition import Partition
from keras_mtl.models.task_loss import TaskLoss
from keras_mtl.models.trunk_split import TrunkSplit
from keras_mtl.strategies import Strategy
from keras_mtl.training.monitor import StepMonitor


@dataclasses.dataclass(frozen=True)
class TrainingPlan:
    """What `compile` and the state of the layers have settled.

    Attributes:
        partition: Which variables serve which tasks.
        strategy: The strategy, built.
        state_variables: The non-trainable variables of the network.
        bypass: What reads weights and state past Keras's variables.
        split: The network's halves, for a strategy that takes gradients by
            the representation between them; else `None`.
        monitor: Notes of non-finite steps.
        on_nonfinite: `"raise"`, `"skip"` or `"ignore"`.
        fingerprint: Identifies what the plan was made for.
    """

    partition: Partition
    strategy: Strategy
    state_variables: list[keras.Variable]
    bypass: backend.Bypass
    split: TrunkSplit | None
    monitor: StepMonitor
    on_nonfinite: str
    fingerprint: tuple


def fingerprint(model: Any) -> tuple:
    """Changes whenever the plan must be made anew."""
    return (
        id(model.strategy),
        tuple(model.tasks),
        tuple(id(variable) for variable in model.network_variables(True)),
        tuple(id(variable) for variable in model.network_variables(False)),
    )


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A strategy built for a model.

    Attributes:
        strategy: The strategy.
        partition: Which variables serve which tasks.
        split: As in `TrainingPlan`.
        built_for: The tasks and paths that the strategy's state belongs to.
    """

    strategy: Strategy
    partition: Partition
    split: TrunkSplit | None
    built_for: tuple[list[str], list[str]]


def prepare(
    model: Any,
    strategy: Strategy,
    losses: Mapping[str, TaskLoss],
    loss_weights: list[Any],
    built_for: tuple[list[str], list[str]] | None = None,
) -> Prepared:
    """Builds a strategy for a built model, whose settings stay as they are.

    Args:
        model: A `MultiTaskModel`.
        strategy: A `Strategy` that no other model trains.
        losses: `TaskLoss` by task.
        loss_weights: For each task, its number in `compile`, or `None`.
        built_for: What it was built for, if it is built.

    Raises:
        ValueError: If the strategy does not fit the model.
    """
    backend.check_devices(strategy.kind.branches)
    tasks = list(losses)
    reads = {task: loss.reads for task, loss in losses.items()}
    partition = Partition(
        tasks,
        model.network_variables(True),
        model.task_structure.find_reach(
            {task: it.output_names for task, it in reads.items()}
        ),
    )
    split = None
    if strategy.kind.at_weights.in_halves:
        split = model.task_structure.split_trunk(
            reads, partition.shared_variables
        )
        if not partition.shared:
            # A frozen trunk: there is nothing to merge.
            split = None
    shapes = [tuple(v.shape) for v in partition.shared_variables]
    paths = [variable.path for variable in partition.shared_variables]
    own = [
        [partition.variables[i] for i in indices] for indices in partition.own
    ]
    if strategy.depends_on_own_variables:
        paths += [variable.path for task in own for variable in task]
    if strategy.built and built_for != (list(tasks), paths):
        # A trained moving average of other variables or tasks means nothing
        # here.
        strategy = type(strategy).from_config(strategy.get_config())
    if strategy.loss_weights == "preference":
        strategy.set_preference(loss_weights)
    groups = strategy.groups_of(partition.shared_variables)
    reach = [partition.tasks_of[i] for i in partition.shared]
    strategy.chosen.settle(tasks, partition.shared_variables, reach)
    if not strategy.built:
        dtype = "float64" if keras.config.floatx() == "float64" else "float32"
        with backend.build_scope(model):
            own_shapes = [[tuple(v.shape) for v in task] for task in own]
            strategy.build(
                len(tasks),
                shapes,
                dtype,
                own_shapes,
                groups,
            )
    strategy.sharing.settle(len(tasks), reach, groups)
    return Prepared(strategy, partition, split, (list(tasks), paths))


def make_plan(model: Any, in_use: Any) -> TrainingPlan:
    """Makes the plan of a built and compiled model.

    Args:
        model: A `MultiTaskModel`.
        in_use: Its `StrategyInUse`.
    """
    prepared = prepare(
        model,
        in_use.strategy,
        model.task_losses.losses,
        list(model.task_losses.weights.values()),
        in_use.built_for,
    )
    strategy, partition = prepared.strategy, prepared.partition
    in_use.check_known(partition.variables)
    strategy.recorder.enabled = in_use.statistics is not None
    in_use.strategy = strategy
    in_use.built_for = prepared.built_for
    with backend.build_scope(model):
        monitor = in_use.monitor_of(model.tasks)
        if not model.optimizer.built:
            model.optimizer.build(partition.variables)
    backend.synchronize([*model.variables, *model.optimizer.variables])
    return TrainingPlan(
        partition=partition,
        strategy=strategy,
        state_variables=model.network_variables(False),
        bypass=backend.Bypass(model, partition.variables),
        split=prepared.split,
        monitor=monitor,
        on_nonfinite=strategy.on_nonfinite or model.on_nonfinite,
        fingerprint=fingerprint(model),
    )
