"""Random state that Keras leaves out of its files."""

import weakref
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl import backend
from keras_mtl.models.strategy_state import WHAT_TO_DO


class RandomState(keras.layers.Layer):
    """Saves and loads where a model's random numbers have got to.

    Keras stores the weights of layers but not the state of their seed
    generators, so that a run that goes on from a file would draw other
    dropout masks than the run it continues. A model with this object among
    its attributes stores them beside its weights.

    On torch, unseeded dropout draws from torch's global generator. If the
    training did so, the state of that generator is stored and set again when
    the file is loaded.

    Args:
        model: The `MultiTaskModel` that it belongs to.
    """

    def __init__(self, model: Any):
        super().__init__(name="random_state")
        # A layer that held the model would make it a layer of itself.
        self._model: Callable[[], Any] = weakref.ref(model)
        self.draws_globally = False
        self.built = True

    def _states(self) -> dict[str, keras.Variable]:
        """Seed states by key: of the network, then of the strategy."""
        model = self._model()
        network = _seed_states(model.network_variables(False), model.weights)
        strategy = []
        if model.strategy is not None:
            strategy = _seed_states(
                model.strategy.variables, model.strategy.weights
            )
        return {
            **{f"network_{i}": v for i, v in enumerate(network)},
            **{f"strategy_{i}": v for i, v in enumerate(strategy)},
        }

    def save_own_variables(self, store: Any) -> None:
        for key, variable in self._states().items():
            store[key] = ops.convert_to_numpy(variable.value)
        drawn_from = backend.global_random_state()
        # There is none on the backends that a file of torch may get to.
        if self.draws_globally and drawn_from is not None:
            store["global"] = drawn_from

    def load_own_variables(self, store: Any) -> None:
        states = self._states()
        saved = set(store.keys())
        for part in ("network", "strategy"):
            wanted = {key for key in states if key.startswith(part)}
            found = {key for key in saved if key.startswith(part)}
            # Another model, or one that was saved without it: start afresh.
            if wanted == found:
                for key in wanted:
                    states[key].assign(np.asarray(store[key]))
            elif part == "strategy" and wanted and found:
                raise ValueError(
                    f"The file has {len(found)} states of the random numbers "
                    f"of the strategy, and the model needs {len(wanted)}. "
                    f"{WHAT_TO_DO}"
                )
        if "global" in saved:
            self.draws_globally = True
            backend.set_global_random_state(np.asarray(store["global"]))


def _seed_states(
    variables: list[keras.Variable], weights: list[keras.Variable]
) -> list[keras.Variable]:
    """Variables that are no weights: the states of seed generators."""
    known = {id(weight) for weight in weights}
    return [variable for variable in variables if id(variable) not in known]
