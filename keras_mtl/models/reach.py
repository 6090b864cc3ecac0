"""Which variables the tasks of a model have gradients by."""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

import keras
from keras import ops

from keras_mtl import backend
from keras_mtl.gradients.partition import Partition
from keras_mtl.training.batch import Batch
from keras_mtl.training.plain_step import PlainStep
from keras_mtl.typing import Tensor

VariablesByTask: TypeAlias = dict[str, list[keras.Variable]]


@dataclasses.dataclass(frozen=True)
class Reach:
    """What each task reaches.

    Attributes:
        key: What it holds for: another key, and it must be found anew.
        by_task: For each task, the variables it reaches.
        indices: The same by index of the trainable variables, where it was
            found by gradients on a batch; else `None`.
    """

    key: tuple
    by_task: dict[str, list[keras.Variable]]
    indices: dict[str, list[int]] | None = None

    @classmethod
    def of(
        cls,
        key: tuple,
        tasks: Sequence[str],
        variables: list[keras.Variable],
        tasks_of: list[frozenset[int]],
    ) -> "Reach":
        """From the indices of the tasks that reach each variable."""
        indices = {
            task: [i for i, reached in enumerate(tasks_of) if k in reached]
            for k, task in enumerate(tasks)
        }
        return cls.from_indices(key, variables, indices)

    @classmethod
    def from_indices(
        cls,
        key: tuple,
        variables: list[keras.Variable],
        indices: dict[str, list[int]],
    ) -> "Reach":
        """From the indices of the variables that each task reaches."""
        by_task = {
            task: [variables[i] for i in places]
            for task, places in indices.items()
        }
        return cls(key, by_task, indices)


def reach_on_batch(
    model: Any, known: Partition, batch: Batch
) -> list[frozenset[int]]:
    """Returns which tasks' losses have gradients by each variable on a batch.

    A loss that depends on nothing, as one of a batch without labels may, says
    nothing; and a variable that no loss depends on may be one of a layer that
    is left out now and then: for these it is what is known already.

    Args:
        model: A built and compiled `MultiTaskModel`.
        known: What is known without a batch.
        batch: Inputs and labels, as tensors.
    """
    bypass = backend.Bypass(model, known.variables)
    with backend.RandomReplay()():
        by_task = PlainStep(model, known.variables, bypass).reach(batch)
    silent = {k for k, reached in enumerate(by_task) if not reached}
    tasks_of = []
    for i, before in enumerate(known.tasks_of):
        found = {k for k, reached in enumerate(by_task) if i in reached}
        if not found or i in known.overwritten:
            tasks_of.append(before)
        else:
            tasks_of.append(frozenset(found | (before & silent)))
    return tasks_of


def probe_reach(
    model: Any,
    outputs: Mapping[str, Sequence[str]],
    input_spec: Any,
    shared_layers: Sequence[Any] | None,
    task_layers: Mapping[str, Sequence[Any]] | None,
) -> VariablesByTask:
    """Returns, for each task, the variables that it reaches.

    Args:
        model: A built model that returns a dict of outputs by name.
        outputs: By task, the outputs that its loss is of.
        input_spec: Structure of symbolic inputs, to make an input from.
        shared_layers: Layers or their names that all tasks share, or `None`.
        task_layers: Dict from tasks to layers or names of their own, or
            `None`. Unless both are given, the dependencies of each output are
            followed, and what is found must agree with what is named.

    Raises:
        ValueError: If the layers named do not cover the model or are not used
            as named, or if the model cannot be probed.
    """
    tasks = list(outputs)
    if shared_layers is None and not task_layers:
        return _found_reach(model, outputs, input_spec)
    shared, own = _named_variables(
        model, tasks, shared_layers or (), task_layers or {}
    )
    if shared_layers is not None and task_layers:
        reach = {task: [*shared, *own[task]] for task in tasks}
        _check_cover(model, reach)
        return reach
    found = _found_reach(model, outputs, input_spec)
    allowed = None if shared_layers is None else shared
    _check_agreement(model, found, allowed, own)
    return {
        task: _united(variables, shared, own[task])
        for task, variables in found.items()
    }


def _found_reach(
    model: Any, by_task: Mapping[str, Sequence[str]], input_spec: Any
) -> VariablesByTask:
    """Follows the dependencies of each output in one call."""
    wanted = list(dict.fromkeys(n for names in by_task.values() for n in names))
    # Frozen ones too, which may be trained later: all that has gradients.
    variables = sorted(
        [*model.network_variables(True), *model.network_variables(False)],
        key=lambda variable: "float" not in variable.dtype,
    )
    floats = [v for v in variables if "float" in v.dtype]
    values = [ops.convert_to_tensor(v.value) for v in variables]
    inputs = keras.tree.map_structure(_example, input_spec)

    def outputs_of(chosen: list[Tensor]) -> list[Tensor]:
        mapping = [
            *zip(floats, chosen, strict=True),
            *zip(variables[len(floats) :], values[len(floats) :], strict=True),
        ]
        with keras.StatelessScope(mapping, collect_losses=True):
            outputs = model(inputs, training=True)
        names = model.task_structure.output_names
        if isinstance(outputs, (list, tuple)) and names is not None:
            outputs = dict(zip(names, outputs, strict=True))
        if names is not None and len(names) == 1 and ops.is_tensor(outputs):
            outputs = {names[0]: outputs}
        if not isinstance(outputs, dict) or any(
            name not in outputs for name in wanted
        ):
            raise ValueError(
                "The model must return a dict with one output per task "
                f"({', '.join(wanted)}), or be told its layers by "
                "`shared_layers` and `task_layers`. Received: "
                f"{_described(outputs)}."
            )
        return [outputs[name] for name in wanted]

    with backend.RandomReplay()():
        reached = backend.reached_variables(outputs_of, values[: len(floats)])
    by_output = dict(zip(wanted, reached, strict=True))
    return {
        task: [
            floats[i]
            for i in sorted(set().union(*(by_output[n] for n in names)))
        ]
        for task, names in by_task.items()
    }


def _example(spec: Any) -> Tensor | None:
    if spec is None:
        return None
    shape = tuple(2 if size is None else size for size in spec.shape)
    return ops.zeros(shape, dtype=spec.dtype)


def _described(outputs: Any) -> str:
    if isinstance(outputs, dict):
        return f"a dict with {', '.join(map(str, outputs))}"
    return type(outputs).__name__


def _named_variables(
    model: Any,
    tasks: list[str],
    shared_layers: Sequence[Any],
    task_layers: Mapping[str, Sequence[Any]],
) -> tuple[list[keras.Variable], VariablesByTask]:
    """Variables of the layers named: shared ones, and own ones by task."""
    unknown = [task for task in task_layers if task not in tasks]
    if unknown:
        raise ValueError(
            f"`task_layers` names {', '.join(map(repr, unknown))}, which is no "
            f"task. Tasks: {', '.join(tasks)}."
        )

    def variables_of(layers: Sequence[Any]) -> list[keras.Variable]:
        found: list[keras.Variable] = []
        for layer in layers:
            if isinstance(layer, str):
                layer = model.get_layer(layer)
            found.extend(layer.variables)
        return found

    own = {task: variables_of(task_layers.get(task, ())) for task in tasks}
    return variables_of(shared_layers), own


def _united(*lists: list[keras.Variable]) -> list[keras.Variable]:
    """The variables of all lists, each once."""
    return list({id(v): v for variables in lists for v in variables}.values())


def _check_cover(model: Any, reach: VariablesByTask) -> None:
    covered = {id(v) for variables in reach.values() for v in variables}
    left_out = [
        v.path for v in model.network_variables(True) if id(v) not in covered
    ]
    if left_out:
        raise ValueError(
            "`shared_layers` and `task_layers` must together name every layer "
            f"with trainable variables. Left out: {', '.join(left_out)}."
        )


def _check_agreement(
    model: Any,
    found: VariablesByTask,
    shared: list[keras.Variable] | None,
    own: VariablesByTask,
) -> None:
    """Raises `ValueError` if a call has found what contradicts the names.

    Args:
        model: The model.
        found: For each task, the variables that a call has found.
        shared: Variables that are named as shared, or `None` if none are.
        own: For each task, variables that are named as its own.
    """
    reached = {
        task: {id(v) for v in variables} for task, variables in found.items()
    }
    users = {
        id(v): [task for task in found if id(v) in reached[task]]
        for v in model.network_variables(True)
    }
    shared_ids = None if shared is None else {id(v) for v in shared}
    for variable in model.network_variables(True):
        tasks = users[id(variable)]
        if (
            shared_ids is not None
            and len(tasks) > 1
            and id(variable) not in shared_ids
        ):
            raise ValueError(
                f"Several tasks ({', '.join(tasks)}) use {variable.path!r}, "
                "which `shared_layers` does not name. Name its layer, too, or "
                "leave `shared_layers` out: then all are found."
            )
    for task, variables in own.items():
        for variable in variables:
            others = [t for t in users.get(id(variable), ()) if t != task]
            if others:
                raise ValueError(
                    f"`task_layers` names {variable.path!r} as one of "
                    f"{task!r}, which {', '.join(map(repr, others))} uses, "
                    "too. Take its layer out of `task_layers`."
                )
