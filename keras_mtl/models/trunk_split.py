"""A network cut in two: the trunk that all tasks share, and the rest."""

import collections
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl.models import networks
from keras_mtl.typing import Tensor


class NoTrunkError(ValueError):
    """There is no place to cut: the message says why and what to do."""

    def __init__(self, reason: str):
        super().__init__(
            'gradients="representation" needs a trunk whose outputs are all '
            f"that the heads of several tasks see of it, but {reason}. Make "
            "the model with `trunk=` and `heads=`, or as a Functional model "
            'with such a trunk, or use gradients="parameters".'
        )


class TrunkSplit:
    """The two halves of a network.

    Args:
        trunk: `Half` that maps inputs to the representation, a structure of
            tensors, and a list of tensors that the heads read besides: the
            trunk cannot change them, or no task depends on them.
        heads: `Half` that maps both to the outputs.
    """

    def __init__(self, trunk: "Half", heads: "Half"):
        self._trunk = trunk
        self._heads = heads
        self._masks = MaskCarrier()

    @property
    def trunk_variables(self) -> list[keras.Variable]:
        """All variables of the trunk."""
        return self._trunk.variables

    def represent(self, inputs: Any) -> tuple[Any, Any]:
        """Runs the trunk.

        Returns:
            The representation, a structure of tensors, and what the heads
            need besides, without gradients.
        """
        representation, others = self._trunk(inputs, training=True)
        # Differentiation hands on the tensors without their masks.
        masks = [
            self._masks.read(tensor)
            for tensor in keras.tree.flatten(representation)
        ]
        return representation, (others, masks)

    def predict(self, representation: Any, besides: Any) -> Any:
        """Returns the outputs, a dict by task or what the network returns."""
        others, masks = besides
        masked = [
            tensor if mask is None else self._masks.attach(tensor, mask)
            for tensor, mask in zip(
                keras.tree.flatten(representation), masks, strict=True
            )
        ]
        return self._heads(
            keras.tree.pack_sequence_as(representation, masked),
            others,
            training=True,
        )

    def trunk_penalties(self) -> list[Any]:
        """Regularizers and `add_loss` terms of the trunk's last call."""
        return self._trunk.losses

    def head_penalties(self) -> list[Any]:
        """The same for the rest."""
        return self._heads.losses


class Half(keras.layers.Layer):
    """A part of a network, called as one layer.

    Keras forgets the losses of a layer's last call wherever a call begins:
    that must not be at each of the layers in it.

    Args:
        function: What the call does.
        parts: The layers in it.
    """

    def __init__(
        self, function: Callable[..., Any], parts: Iterable[keras.layers.Layer]
    ):
        super().__init__(autocast=False)
        self.function = function
        self.parts = list(parts)
        self.built = True

    def call(self, *inputs: Any, training: bool | None = None) -> Any:
        return self.function(*inputs, training)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """Returns `None`: what is called inside has set the masks."""


class MaskCarrier(keras.layers.Layer):
    """Reads the mask that Keras keeps with a tensor, and puts one there."""

    def __init__(self) -> None:
        super().__init__(autocast=False)
        self.supports_masking = True
        self._found: list[Any] = []

    def call(self, inputs: Tensor, mask: Any = None) -> Tensor:
        self._found = [mask]
        return inputs

    def read(self, tensor: Any) -> Any:
        """Returns the mask of a tensor, or `None`."""
        self(tensor)
        (mask,), self._found = self._found, []
        return mask

    def attach(self, tensor: Any, mask: Any) -> Any:
        """Returns the tensor with a mask."""
        return self(tensor, mask=mask)


def split_trunk(
    network: Any,
    outputs: Mapping[str, Sequence[str]],
    shared_variables: list[keras.Variable],
) -> TrunkSplit:
    """Cuts a network at the representation that its tasks share.

    Args:
        network: A Functional model or a `TrunkAndHeads`.
        outputs: By task, the outputs that its loss is of.
        shared_variables: Trainable variables that several tasks reach.

    Raises:
        ValueError: If there is no such representation.
    """
    if isinstance(network, networks.TrunkAndHeads):
        if network.task_inputs:
            raise NoTrunkError("each task has inputs of its own")
        split = TrunkSplit(
            Half(
                lambda inputs, training: (
                    network.trunk(inputs, training=training),
                    [],
                ),
                [network.trunk],
            ),
            Half(
                lambda features, others, training: network.call_heads(
                    features, training
                ),
                network.heads.values(),
            ),
        )
    elif networks.is_functional(network):
        split = _split_graph(network, outputs)
    else:
        raise NoTrunkError("the layers of a subclassed model are not known")
    inside = {id(variable) for variable in split.trunk_variables}
    outside = [v.path for v in shared_variables if id(v) not in inside]
    if outside:
        raise NoTrunkError(
            f"tasks also share {', '.join(outside)} behind that place"
        )
    return split


def _split_graph(
    network: keras.Model, by_task: Mapping[str, Sequence[str]]
) -> TrunkSplit:
    cut, others = _boundary(network, by_task)
    trunk = keras.Model(network.input, [*cut, *others])
    trunk.dtype_policy, trunk.autocast = network.dtype_policy, network.autocast
    # Keras cannot hand an input of a model on as an output of it.
    handed_on = {id(tensor) for tensor in [*cut, *others]}
    made = [
        tensor
        for tensor in keras.tree.flatten(network.output)
        if id(tensor) not in handed_on
    ]
    # The trunk may make all outputs, for several losses of each.
    heads = keras.Model([*cut, *others], made) if made else None
    shared = {id(v) for v in trunk.variables}
    again = [
        v.path for v in (heads.variables if heads else ()) if id(v) in shared
    ]
    if again:
        raise NoTrunkError(
            f"layers of the trunk are used again behind it: {', '.join(again)}"
        )

    def represent(
        inputs: Any, training: bool | None
    ) -> tuple[list[Tensor], list[Tensor]]:
        tensors = keras.tree.flatten(trunk(inputs, training=training))
        return tensors[: len(cut)], tensors[len(cut) :]

    def behind(
        features: list[Tensor], besides: list[Tensor], training: bool | None
    ) -> Any:
        given = [*features, *besides]
        # As in the middle of the graph: without the casts and the talk about
        # masks of a call from outside.
        results = []
        if heads is not None:
            results = keras.tree.flatten(heads.call(given, training=training))
        values = {
            id(symbol): value
            for symbol, value in zip(
                [*cut, *others, *made], [*given, *results], strict=True
            )
        }
        return keras.tree.map_structure(
            lambda symbol: values[id(symbol)], network.output
        )

    return TrunkSplit(
        Half(represent, [trunk]), Half(behind, [heads] if heads else [])
    )


def _boundary(
    network: keras.Model, by_task: Mapping[str, Sequence[str]]
) -> tuple[list[keras.KerasTensor], list[keras.KerasTensor]]:
    """What comes out of the part of a graph that several tasks need.

    Returns:
        `(cut, others)`: the tensors made there that tasks read elsewhere, and
        what else is read: inputs, and what outputs that are no tasks read.
    """
    outputs = networks.graph_outputs(network)
    inputs = {id(tensor) for tensor in keras.tree.flatten(network.input)}
    nodes = {name: _nodes(output) for name, output in outputs.items()}
    needed = [
        set().union(*(nodes[name] for name in names))
        for names in by_task.values()
    ]
    counts = collections.Counter(key for keys in needed for key in keys)
    # By output, the tasks of which it is.
    tasks = {
        name: [task for task, names in by_task.items() if name in names]
        for name in outputs
    }
    cut: dict[int, Any] = {}
    others: dict[int, Any] = {}
    readers: dict[int, set[str]] = {}
    for name in sorted(outputs, key=lambda name: not tasks[name]):
        # The output itself, where the trunk makes it.
        read = [outputs[name]]
        for key, node in nodes[name].items():
            if counts[key] < 2:
                read += node.input_tensors
        for tensor in read:
            if id(tensor) in inputs:
                others[id(tensor)] = tensor
            elif counts[id(_node(tensor))] > 1:
                if tasks[name]:
                    cut[id(tensor)] = tensor
                    readers.setdefault(id(tensor), set()).update(tasks[name])
                elif id(tensor) not in cut:
                    others[id(tensor)] = tensor
    if not cut:
        raise NoTrunkError("the tasks share no layer")
    alone = [readers[key] for key in cut if len(readers[key]) == 1]
    if alone:
        raise NoTrunkError(
            "what the trunk hands on is read by one task alone "
            f"({', '.join(sorted(set().union(*alone)))})"
        )
    return list(cut.values()), list(others.values())


def _node(tensor: Any) -> Any:
    """The call of a layer that made a symbolic tensor."""
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def _nodes(output: Any) -> dict[int, Any]:
    """All calls that an output needs, by identity."""
    found: dict[int, Any] = {}
    waiting = [output]
    while waiting:
        node = _node(waiting.pop())
        if id(node) not in found:
            found[id(node)] = node
            waiting += node.input_tensors
    return found
