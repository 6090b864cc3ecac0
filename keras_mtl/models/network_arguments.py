"""The arguments of a `MultiTaskModel` that say what its network is."""

from typing import Any

import keras

from keras_mtl.models import networks


def as_network(
    inputs: Any,
    outputs: Any,
    trunk: Any,
    heads: Any,
    task_inputs: bool,
    network: Any,
    name: str | None = None,
) -> keras.Model | None:
    """Makes a network of the arguments of `MultiTaskModel`, and checks it.

    Returns:
        The network, or `None` if no argument describes one.

    Raises:
        ValueError: If they contradict each other, or outputs have no names.
    """
    given = [
        inputs is not None or outputs is not None,
        trunk is not None or heads is not None,
        network is not None,
    ]
    if task_inputs and not given[1]:
        raise ValueError(
            "`task_inputs=True` needs `trunk` and `heads`: the trunk is called "
            "with the inputs of each task in turn."
        )
    if sum(given) > 1:
        raise ValueError(
            "Give either `inputs` and `outputs`, or `trunk` and `heads`."
        )
    if given[0]:
        if inputs is None or outputs is None:
            raise ValueError("`inputs` and `outputs` must be given together.")
        network = keras.Model(inputs, outputs, name=name)
    if given[1]:
        network = networks.TrunkAndHeads(trunk, heads, task_inputs)
        if trunk.built and all(head.built for head in heads.values()):
            network.built = True
    if network is None:
        return None
    if not isinstance(network, keras.Model):
        raise ValueError(
            "The network of a multi-task model must be a keras.Model. "
            f"Received: {type(network).__name__}."
        )
    if networks.is_functional(network):
        # They have names, each its own.
        networks.graph_outputs(network)
    return network
