"""Which shared variables the weights of the tasks are computed from."""

from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl.revive import revive_function

REPRESENTATION, LAST_SHARED = "representation", "last_shared"


class ChosenVariables:
    """A choice among the shared variables of a model.

    Neither a layer nor a container, so that Keras does not take the layers
    that it names for parts of a strategy.

    Args:
        asked: `weights_from` of `keras_mtl.Strategy`.

    Raises:
        ValueError: If it is none of what is allowed.
    """

    def __init__(self, asked: Any):
        if isinstance(asked, dict):
            asked = revive_function("weights_from", asked)
        if isinstance(asked, (list, tuple)):
            asked = tuple(asked)
        self.asked = _checked(asked)
        #: Places among the shared variables, in their order.
        self.places: tuple[int, ...] = ()

    @property
    def config(self) -> Any:
        """What makes an equal choice; layers by their names."""
        if not isinstance(self.asked, tuple):
            return self.asked
        return [
            layer if isinstance(layer, str) else layer.name
            for layer in self.asked
        ]

    def settle(
        self,
        tasks: Sequence[str],
        variables: Sequence[keras.Variable],
        reach: Sequence[Iterable[int]],
    ) -> None:
        """Chooses among the shared variables of a model.

        Args:
            tasks: Names of the tasks.
            variables: The shared variables.
            reach: For each of them, the indices of the tasks that reach it.

        Raises:
            ValueError: If none is chosen, or a task that shares variables
                reaches none of those: there would be nothing to weigh it by.
        """
        everyone = frozenset(k for of_variable in reach for k in of_variable)
        if isinstance(self.asked, tuple):
            self.places = _of_layers(self.asked, variables)
        elif callable(self.asked):
            self.places = tuple(
                i for i, v in enumerate(variables) if self.asked(v)
            )
        elif self.asked == LAST_SHARED:
            self.places = _last_shared(variables, reach, everyone)
        else:
            self.places = tuple(range(len(variables)))
        layers = ", ".join(dict.fromkeys(_layer_of(v) for v in variables))
        if variables and not self.places:
            raise ValueError(
                f"Argument `weights_from` chooses no variable that several "
                f"tasks share. Layers with such variables: {layers}."
            )
        reached = frozenset(k for i in self.places for k in reach[i])
        left_out = [tasks[k] for k in sorted(everyone - reached)]
        if left_out:
            raise ValueError(
                f"Task {left_out[0]!r} reaches none of the variables that "
                "`weights_from` chooses, so it would have no weight. Choose "
                "layers that all tasks with shared variables reach. Layers "
                f"with shared variables: {layers}."
            )


def _checked(asked: Any) -> Any:
    layers = asked if isinstance(asked, tuple) else ()
    of_layers = bool(layers) and all(
        isinstance(layer, (str, keras.layers.Layer)) for layer in layers
    )
    if asked in (None, LAST_SHARED, REPRESENTATION) or of_layers:
        return asked
    if callable(asked) and not isinstance(asked, keras.layers.Layer):
        return asked
    raise ValueError(
        'Argument `weights_from` must be None, "last_shared", '
        '"representation", a list of layers or of their names, or a function '
        "from a variable to whether it is chosen. Received: weights_from="
        f"{asked!r}"
    )


def _layer_of(variable: keras.Variable) -> str:
    return variable.path.rpartition("/")[0]


def _of_layers(
    layers: Sequence[Any], variables: Sequence[keras.Variable]
) -> tuple[int, ...]:
    chosen: set[int] = set()
    for layer in layers:
        if isinstance(layer, str):
            found = {
                i
                for i, variable in enumerate(variables)
                if layer in _layer_of(variable).split("/")
            }
        else:
            weights = {id(v) for v in layer.variables}
            found = {i for i, v in enumerate(variables) if id(v) in weights}
        if not found:
            name = layer if isinstance(layer, str) else layer.name
            known = dict.fromkeys(_layer_of(v) for v in variables)
            raise ValueError(
                f"Argument `weights_from` names the layer {name!r}, which has "
                "no variable that several tasks share. Layers that have: "
                f"{', '.join(known)}."
            )
        chosen |= found
    return tuple(sorted(chosen))


def _last_shared(
    variables: Sequence[keras.Variable],
    reach: Sequence[Iterable[int]],
    everyone: frozenset[int],
) -> tuple[int, ...]:
    """The last layer with a kernel that all tasks with shared ones reach."""
    layers: dict[str, list[int]] = {}
    for i, variable in enumerate(variables):
        if frozenset(reach[i]) == everyone:
            layers.setdefault(_layer_of(variable), []).append(i)
    for places in reversed(layers.values()):
        if any(len(variables[i].shape) > 1 for i in places):
            return tuple(places)
    return ()
