"""What a file of weights says about the training that it is of."""

import json
import os
import weakref
import zipfile
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import keras
import numpy as np

from keras_mtl.models.strategy_state import WHAT_TO_DO
from keras_mtl.models.strategy_state import is_for_variables
from keras_mtl.models.strategy_state import load_part

#: More than any model needs: a file that says more was tampered with.
MOST_BYTES = 2**20


class TrainingSetup(NamedTuple):
    """What the state of a strategy belongs to.

    Attributes:
        tasks: Names of the tasks, in order.
        strategy: The strategy and its parts, or `None` for plain training.
        variables: Places, among the weights of the network, of the variables
            that the state is for; `None` if there is no state, or nobody said.
    """

    tasks: list[str]
    strategy: str | None
    variables: list[int] | None = None

    def __str__(self) -> str:
        tasks = ", ".join(map(repr, self.tasks))
        number = len(self.tasks)
        return f"the strategy {self.strategy} and {number} tasks ({tasks})"

    def fits(self, other: "TrainingSetup") -> bool:
        """Whether the state of one can go on in the other.

        Without a strategy there is no state: it starts afresh, or is left.
        """
        return None in (self.strategy, other.strategy) or self[:2] == other[:2]


def _paths(model: Any, places: list[int]) -> str:
    weights = model.weights
    paths = [
        weights[place].path if 0 <= place < len(weights) else f"number {place}"
        for place in places
    ]
    return ", ".join(paths) or "none"


class CheckpointRecord(keras.layers.Layer):
    """Writes beside a model's weights which strategy and tasks they are of.

    Args:
        model: The `MultiTaskModel` that it belongs to.
    """

    def __init__(self, model: Any):
        super().__init__(name="checkpoint_record")
        # A layer that held the model would make it a layer of itself.
        self._model: Callable[[], Any] = weakref.ref(model)
        #: Epochs of the last `fit` that were over, here or in the file.
        self.finished_epochs: int | None = None
        #: Whether a `fit` counts them: files that are loaded during its
        #: epochs are of others.
        self.is_counting = False
        self.built = True

    def count(self, finished_epochs: int) -> None:
        """Notes how many epochs are over in the `fit` that is going on."""
        self.finished_epochs = finished_epochs
        self.is_counting = True

    @property
    def setup(self) -> TrainingSetup | None:
        """What the model is trained by, or `None` before `compile`."""
        model = self._model()
        if not model.compiled:
            return None
        strategy = (
            None if model.strategy is None else model.strategy.nested_names
        )
        return TrainingSetup(model.tasks, strategy, self._places())

    def _places(self) -> list[int] | None:
        """Where the variables of the strategy's state are, or `None`."""
        model = self._model()
        built_for = model.strategy_in_use.built_for
        if model.strategy is None or built_for is None:
            return None
        # Names of layers count how many there are in a process.
        places = {w.path: place for place, w in enumerate(model.weights)}
        return [places.get(path, -1) for path in built_for[1]]

    def check(self, saved: TrainingSetup | None, file: str) -> None:
        """Raises `ValueError` for a file of another training.

        Args:
            saved: What the file says, or `None` if it says nothing.
            file: The file, for the message.
        """
        setup = self.setup
        check_fits(saved, setup, file)
        if saved is None or setup is None:
            return
        if saved.variables is None or setup.variables is None:
            return
        if saved.strategy is None or saved.variables == setup.variables:
            return
        model = self._model()
        if is_for_variables(model.strategy, len(model.tasks)):
            raise ValueError(
                f"{file} has state of {setup.strategy} for other variables: "
                f"for {_paths(model, saved.variables)}. The model has it for "
                f"{_paths(model, setup.variables)}. {WHAT_TO_DO}"
            )

    def save_own_variables(self, store: Any) -> None:
        if self.setup is not None:
            text = json.dumps(self.setup._asdict())
            store["setup"] = np.frombuffer(text.encode(), "uint8")
        if self.finished_epochs is not None:
            store["finished_epochs"] = np.array(self.finished_epochs)

    def load_own_variables(self, store: Any) -> None:
        # Other loaders than the model's own end here, too.
        self.check(read_setup(store), "The file")
        if "finished_epochs" in store.keys() and not self.is_counting:
            self.finished_epochs = int(np.asarray(store["finished_epochs"]))


def check_fits(
    saved: TrainingSetup | None, setup: TrainingSetup | None, file: str
) -> None:
    """Raises `ValueError` for a file of another strategy or other tasks.

    Args:
        saved: What the file says, or `None` if it says nothing.
        setup: What the model is trained by, or `None` before `compile`.
        file: The file, for the message.
    """
    if saved is None or setup is None or saved.fits(setup):
        return
    raise ValueError(
        f"{file} is of another training. It has {saved}. The model has "
        f"{setup}. Compile the model as the file has it, or take the "
        "weights of the network alone: `model.load_weights(path, "
        "weights_only=True)`."
    )


def read_setup(store: Any) -> TrainingSetup | None:
    """Returns what a file says, or `None` if Keras alone has written it."""
    if "setup" not in store.keys():
        return None
    content = np.asarray(store["setup"])
    try:
        if content.dtype != "uint8" or content.size > MOST_BYTES:
            raise ValueError(f"{content.size} numbers of {content.dtype}")
        said = json.loads(content.tobytes())
        tasks, strategy = said["tasks"], said["strategy"]
        variables = said.get("variables")
        if variables is not None and not all(
            isinstance(place, int) for place in variables
        ):
            raise TypeError("places must be integers")
        if not isinstance(strategy, str | None) or not all(
            isinstance(task, str) for task in tasks
        ):
            raise TypeError("names must be text")
    except (
        AttributeError,
        KeyError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(
            "The file does not say in a form that is known which strategy and "
            f"tasks it is of: {error}."
        ) from error
    return TrainingSetup(list(tasks), strategy, variables)


def check_sums(filepath: str | os.PathLike) -> None:
    """Raises `zipfile.BadZipFile` for a `.keras` file with a changed byte."""
    # Since Python 3.13, who jumps within a file, as HDF5 does, is not told.
    if not zipfile.is_zipfile(filepath):
        return
    with zipfile.ZipFile(filepath) as archive:
        name = archive.testzip()
    if name is not None:
        raise zipfile.BadZipFile(
            f"Bad CRC-32 for file {name!r} in {filepath}: it was changed after "
            "it was saved."
        )


class _ReadRecord(keras.layers.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.setup: TrainingSetup | None = None
        self.built = True

    def load_own_variables(self, store: Any) -> None:
        self.setup = read_setup(store)


def record_of(filepath: str | os.PathLike) -> TrainingSetup | None:
    """Returns what a file of weights says, without loading the weights.

    Args:
        filepath: What `load_weights` takes.

    Returns:
        What the file is of, or `None` if it says nothing.
    """
    record = _ReadRecord()
    load_part(filepath, "checkpoint_record", record)
    return record.setup
