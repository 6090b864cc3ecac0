"""The examples of a comparison, as a user's function returns them."""

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl.comparison.examples import Examples
from keras_mtl.comparison.examples import Stream
from keras_mtl.comparison.examples import described
from keras_mtl.comparison.examples import read_examples
from keras_mtl.export import keras_mtl_export


@keras_mtl_export("keras_mtl.comparison.Problem")
@dataclasses.dataclass(frozen=True)
class Problem:
    """What the function behind `compare --dataset` may return.

    `train`, `test` and `validation` are each `(x, y)` or `(x, y,
    sample_weight)` of arrays, a `keras.utils.PyDataset`, a batched
    `tf.data.Dataset` or a torch `DataLoader`. Weights of classes are written
    as `sample_weight`, a dict by task, since Keras takes `class_weight` for
    models of one output only.

    What comes in batches has batches of its own size, and an order of its
    own: the function is called anew for every run, when the seed is set.

    Args:
        train: Training examples.
        test: Examples that results are measured on.
        validation: Examples that `fit` validates on after each epoch, for
            callbacks, and that settings are chosen on. Defaults to `None`:
            none, and settings are chosen on a part of `train`.
        callbacks: Function without arguments that returns a list of new
            callbacks, called for every run. Defaults to `None`.
        name: Name of the data, needed where they come in batches, whose
            content cannot be looked at: runs with other names are not
            compared. Defaults to `None`.
        version: The same, for what changes under one name. Defaults to
            `None`.

    Example:

    ```python
    def load_data():
        x, y = np.ones((8, 3)), {"a": np.ones(8), "b": np.ones(8)}
        weights = {"a": np.ones(8), "b": np.full(8, 0.5)}
        return keras_mtl.comparison.Problem(
            train=(x, y, weights),
            test=(x, y),
            validation=(x, y),
            callbacks=lambda: [keras.callbacks.EarlyStopping()],
        )
    ```
    """

    train: Any
    test: Any
    validation: Any = None
    callbacks: Callable[[], Sequence[keras.callbacks.Callback]] | None = None
    name: str | None = None
    version: str | None = None


@dataclasses.dataclass(frozen=True)
class Data:
    """The same, checked.

    Args:
        train: Training examples.
        test: Test examples.
        validation: Validation examples, or `None`.
        callbacks: As for `Problem`.
        label: Name and version, as far as they are given.
    """

    train: Examples
    test: Examples
    validation: Examples | None = None
    callbacks: Any = None
    label: tuple[str | None, str | None] = (None, None)

    @property
    def parts(self) -> tuple[Examples | None, ...]:
        """Training, test and validation examples."""
        return self.train, self.test, self.validation

    @property
    def is_stream(self) -> bool:
        """Whether some of the examples come in an order of their own."""
        return any(isinstance(part, Stream) for part in self.parts)

    def limited(self, limit: int | None) -> "Data":
        """Returns so many examples of each part at most."""
        if limit is None or self.is_stream:
            return self
        return dataclasses.replace(
            self,
            train=self.train.first(limit),
            test=self.test.first(limit),
            validation=self.validation and self.validation.first(limit),
        )

    def new_callbacks(self) -> list[keras.callbacks.Callback]:
        """Returns callbacks for a run.

        Raises:
            ValueError: If the user's function returns something else.
        """
        if self.callbacks is None:
            return []
        found = self.callbacks()
        if not isinstance(found, (list, tuple)) or not all(
            isinstance(it, keras.callbacks.Callback) for it in found
        ):
            raise ValueError(
                "`callbacks` of a Problem must return a list of Keras "
                f"callbacks. It returned: {described(found)}"
            )
        return list(found)

    def check_callbacks(self) -> None:
        """Raises `ValueError` if runs would share callbacks."""
        first, second = self.new_callbacks(), self.new_callbacks()
        shared = [one for one in first if any(one is it for it in second)]
        if shared:
            raise ValueError(
                "`callbacks` of a Problem must make new callbacks at each "
                "call, for every run starts from the beginning. It returned "
                f"the same {type(shared[0]).__name__} twice."
            )


def read_data(name: str, returned: Any) -> Data:
    """Returns the examples that a function of the user has returned.

    Args:
        name: What the function is called.
        returned: A `Problem`, or pairs or triples of training and of test
            examples.

    Raises:
        ValueError: If it is something else; says what it is.
    """
    if isinstance(returned, Problem):
        return _of_problem(name, returned)
    is_pair = isinstance(returned, (tuple, list)) and len(returned) == 2
    if not is_pair or not all(
        isinstance(it, (tuple, list)) and len(it) in (2, 3) for it in returned
    ):
        raise ValueError(
            f"{name} must return (x_train, y_train), (x_test, y_test), each "
            "with sample weights as a third, or a "
            "keras_mtl.comparison.Problem. It returned: "
            f"{described(returned)}"
        )
    train, test = returned
    return Data(
        read_examples(f"The training examples of {name}", train),
        read_examples(f"The test examples of {name}", test),
    )


def _of_problem(name: str, problem: Problem) -> Data:
    if problem.callbacks is not None and not callable(problem.callbacks):
        raise ValueError(
            f"`callbacks` of the Problem that {name} returns must be a "
            "function that makes new ones for each run: callbacks=lambda: "
            f"[...]. Received: {described(problem.callbacks)}"
        )
    for field in ("name", "version"):
        value = getattr(problem, field)
        if value is not None and not isinstance(value, str):
            raise ValueError(
                f"`{field}` of the Problem that {name} returns must be text. "
                f"Received: {value!r}"
            )
    of_problem = f"of the Problem that {name} returns"
    validation = problem.validation
    if validation is not None:
        validation = read_examples(f"`validation` {of_problem}", validation)
    data = Data(
        read_examples(f"`train` {of_problem}", problem.train),
        read_examples(f"`test` {of_problem}", problem.test),
        validation,
        problem.callbacks,
        (problem.name, problem.version),
    )
    if data.is_stream and problem.name is None:
        raise ValueError(
            f"The Problem that {name} returns needs a `name`: examples that "
            "come in batches cannot be looked at, to know whether later runs "
            'have the same. Write Problem(..., name="census", version="1"), '
            "and another version when they change."
        )
    return data
