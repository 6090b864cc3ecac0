"""Which variables the outputs of a subclassed model depend on."""

import keras
from keras import ops

from keras_mtl import backend


def probe_reach(model, tasks, input_spec, shared_layers, task_layers):
    """Returns, for each task, the variables that it reaches.

    Args:
        model: A built model that returns a dict of outputs by task.
        tasks: Task names.
        input_spec: Structure of symbolic inputs, to make an input from.
        shared_layers: Layers or their names that all tasks share, or `None`
            to follow the dependencies of each output instead.
        task_layers: Dict from tasks to layers or names of their own.

    Raises:
        ValueError: If the layers named do not cover the model, or if the
            model cannot be probed.
    """
    if shared_layers is not None:
        return _named_reach(model, tasks, shared_layers, task_layers or {})
    # Frozen ones too, which may be trained later: all that has gradients.
    variables = sorted(
        [*model.network_variables(True), *model.network_variables(False)],
        key=lambda variable: "float" not in variable.dtype,
    )
    floats = [v for v in variables if "float" in v.dtype]
    values = [ops.convert_to_tensor(v.value) for v in variables]
    inputs = keras.tree.map_structure(_example, input_spec)

    def outputs_by_task(chosen):
        mapping = [
            *zip(floats, chosen, strict=True),
            *zip(variables[len(floats) :], values[len(floats) :], strict=True),
        ]
        with keras.StatelessScope(mapping, collect_losses=True):
            outputs = model(inputs, training=True)
        if isinstance(outputs, (list, tuple)) and model.has_output_names:
            outputs = dict(zip(model.output_names, outputs, strict=True))
        if not isinstance(outputs, dict) or any(
            task not in outputs for task in tasks
        ):
            raise ValueError(
                "The model must return a dict with one output per task "
                f"({', '.join(tasks)}), or be told its layers by "
                "`shared_layers` and `task_layers`. Received: "
                f"{_described(outputs)}."
            )
        return [outputs[task] for task in tasks]

    with backend.RandomReplay()():
        reached = backend.reached_variables(
            outputs_by_task, values[: len(floats)]
        )
    return {
        task: [floats[i] for i in sorted(indices)]
        for task, indices in zip(tasks, reached, strict=True)
    }


def _example(spec):
    if spec is None:
        return None
    shape = tuple(2 if size is None else size for size in spec.shape)
    return ops.zeros(shape, dtype=spec.dtype)


def _described(outputs):
    if isinstance(outputs, dict):
        return f"a dict with {', '.join(map(str, outputs))}"
    return type(outputs).__name__


def _named_reach(model, tasks, shared_layers, task_layers):
    unknown = [task for task in task_layers if task not in tasks]
    if unknown:
        raise ValueError(
            f"`task_layers` names {', '.join(map(repr, unknown))}, which is no "
            f"task. Tasks: {', '.join(tasks)}."
        )

    def variables_of(layers):
        found = []
        for layer in layers:
            if isinstance(layer, str):
                layer = model.get_layer(layer)
            found.extend(layer.variables)
        return found

    shared = variables_of(shared_layers)
    reach = {
        task: [*shared, *variables_of(task_layers.get(task, ()))]
        for task in tasks
    }
    covered = {id(v) for variables in reach.values() for v in variables}
    left_out = [
        v.path for v in model.network_variables(True) if id(v) not in covered
    ]
    if left_out:
        raise ValueError(
            "`shared_layers` and `task_layers` must together name every layer "
            f"with trainable variables. Left out: {', '.join(left_out)}."
        )
    return reach
