"""What is trained or tested on: arrays, or batches that somebody else makes."""

import dataclasses
import hashlib
import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

#: Bytes of an array that are looked at: all labels, and all that is small.
LOOKED_AT = 2**28

#: What examples may be, for messages.
ALLOWED = (
    "(x, y) or (x, y, sample_weight) of arrays, a keras.utils.PyDataset, a "
    "batched tf.data.Dataset or a torch DataLoader"
)


@dataclasses.dataclass(frozen=True)
class Arrays:
    """Examples in memory.

    Args:
        x: Inputs: an array or a nest of such.
        y: Labels: the same.
        sample_weight: Weights: the same, or `None`.
    """

    x: Any
    y: Any
    sample_weight: Any = None

    @property
    def count(self) -> int:
        """Number of examples."""
        return len(keras.tree.flatten(self.x)[0])

    def steps(self, batch_size: int) -> int:
        """Returns the number of batches."""
        return math.ceil(self.count / batch_size)

    def arguments(self, batch_size: int) -> dict[str, Any]:
        """Returns the arguments of `evaluate`."""
        return {**vars(self), "batch_size": batch_size}

    def fit_arguments(self, batch_size: int) -> dict[str, Any]:
        """Returns the arguments of `fit`."""
        return self.arguments(batch_size)

    def validation_data(self) -> Any:
        """Returns what `fit` takes to validate on."""
        whole = self.x, self.y, self.sample_weight
        return whole if self.sample_weight is not None else whole[:2]

    def first(self, count: int) -> "Arrays":
        """Returns the first examples."""
        return self._each(lambda array: array[:count])

    def rows(self, rows: np.ndarray) -> "Arrays":
        """Returns the examples of these numbers."""
        return self._each(lambda array: array[rows])

    def first_steps(self, steps: int, batch_size: int) -> dict[str, Any]:
        """Returns arguments of `fit` for the first steps, in their order.

        From the beginning again where there are not enough.
        """
        rows = np.arange(steps * batch_size) % self.count
        return {**self.rows(rows).arguments(batch_size), "shuffle": False}

    def digest(self, digest: Any) -> None:
        """Adds the content, of large arrays that of evenly spaced examples."""
        for leaf in keras.tree.flatten((self.x, self.y, self.sample_weight)):
            if leaf is None:
                digest.update(b"none")
                continue
            digest.update(repr((leaf.dtype.str, leaf.shape)).encode())
            if leaf.dtype.hasobject or not leaf.size:
                continue
            step = -(-leaf.nbytes // LOOKED_AT)
            looked_at = np.ascontiguousarray(leaf[::step]).reshape(-1)
            digest.update(looked_at.view("uint8").data)

    def _each(self, take: Any) -> "Arrays":
        return Arrays(
            *keras.tree.map_structure(
                take,
                (self.x, self.y, self.sample_weight),
                none_is_leaf=False,
            )
        )


@dataclasses.dataclass(frozen=True)
class Stream:
    """Batches in an order of their own, again and again.

    Args:
        source: What makes them.
    """

    source: Any

    @property
    def count(self) -> None:
        """Nobody knows the number of examples."""

    def steps(self, batch_size: int) -> int | None:
        """Returns the number of batches, `None` if it is not known."""
        if isinstance(self.source, keras.utils.PyDataset):
            return self.source.num_batches
        try:
            return len(self.source)
        except TypeError:
            # Of a filtered tf.data.Dataset, for instance.
            return None

    def arguments(self, batch_size: int) -> dict[str, Any]:
        """Returns the arguments of `evaluate`."""
        return {"x": self.source}

    def fit_arguments(self, batch_size: int) -> dict[str, Any]:
        """Returns the arguments of `fit`.

        It shuffles the batches that it can ask for; of others it would warn.
        """
        if isinstance(self.source, keras.utils.PyDataset):
            return {"x": self.source}
        return {"x": self.source, "shuffle": False}

    def validation_data(self) -> Any:
        """Returns what `fit` takes to validate on."""
        return self.source

    def batches(self) -> Iterator[Arrays]:
        """Yields the batches of a pass."""
        if isinstance(self.source, keras.utils.PyDataset):
            found = (self.source[it] for it in range(self.source.num_batches))
        else:
            found = iter(self.source)
        for batch in found:
            if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
                raise ValueError(
                    f"A {type(self.source).__name__} must yield (x, y) or (x, "
                    f"y, sample_weight). It yields: {described(batch)}"
                )
            yield Arrays(*_as_numpy(tuple(batch)))

    def first(self, count: int) -> Arrays:
        """Returns the first examples, of the first batch at most."""
        for batch in self.batches():
            return batch.first(count)
        raise ValueError(f"A {type(self.source).__name__} has no batches.")

    def first_steps(self, steps: int, batch_size: int) -> dict[str, Any]:
        """Returns arguments of `fit` for the first steps, in their order.

        From the beginning again where there are not enough.
        """
        found: list[Arrays] = []
        for batch in self.batches():
            found.append(batch)
            if len(found) == steps:
                break
        return {"x": _Batches([found[it % len(found)] for it in range(steps)])}

    def digest(self, digest: Any) -> None:
        """Adds what the first batch is like, without its examples."""
        batch = self.first(1)
        for leaf in keras.tree.flatten((batch.x, batch.y, batch.sample_weight)):
            like = None if leaf is None else (leaf.dtype.str, leaf.shape)
            digest.update(repr(like).encode())


Examples = Arrays | Stream


class _Batches(keras.utils.PyDataset):
    """A few batches, in their order."""

    def __init__(self, batches: list[Arrays]):
        super().__init__()
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> Any:
        return self._batches[index].validation_data()


def read_examples(where: str, given: Any) -> Examples:
    """Returns examples that somebody has given.

    Args:
        where: What they are, for messages.
        given: One of what `ALLOWED` names.

    Raises:
        ValueError: If it is something else, or can be gone through only once.
    """
    if isinstance(given, (tuple, list)) and len(given) in (2, 3):
        return _arrays(where, tuple(given))
    if isinstance(given, Iterator):
        raise ValueError(
            f"{where} can be gone through only once, but every epoch and every "
            f"run goes through it: {type(given).__name__}. Allowed are: "
            f"{ALLOWED}."
        )
    is_stream = isinstance(given, keras.utils.PyDataset) or (
        # What has indices has examples, not batches.
        hasattr(given, "__iter__")
        and not hasattr(given, "__getitem__")
        and not isinstance(given, (set, frozenset))
    )
    if not is_stream:
        raise ValueError(
            f"{where} must be {ALLOWED}. Received: {described(given)}"
        )
    if _is_infinite(given):
        raise ValueError(
            f"{where} never ends: {type(given).__name__}. Remove `.repeat()`, "
            "or give it a number of batches."
        )
    return Stream(given)


def described(value: Any, depth: int = 2) -> str:
    """Returns in words what somebody has given."""
    kind = type(value).__name__
    if isinstance(value, (tuple, list)) and depth:
        items = [described(item, depth - 1) for item in value[:4]]
        if len(value) > len(items):
            items.append("...")
        return f"{kind} of {len(value)} ({', '.join(items)})"
    return kind


def digest_of(*parts: Examples | None) -> str:
    """Returns a digest of examples."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(type(part).__name__.encode())
        if part is not None:
            part.digest(digest)
    return digest.hexdigest()[:16]


def _is_infinite(source: Any) -> bool:
    if isinstance(source, keras.utils.PyDataset):
        return source.num_batches is None
    # Of tf.data: -1, and -2 where it does not know.
    return hasattr(source, "cardinality") and int(source.cardinality()) == -1


def _arrays(where: str, given: tuple[Any, ...]) -> Arrays:
    arrays = Arrays(*_as_numpy(given))
    leaves = [
        leaf
        for leaf in keras.tree.flatten(
            (arrays.x, arrays.y, arrays.sample_weight)
        )
        if leaf is not None
    ]
    if not leaves or arrays.x is None or any(leaf.ndim == 0 for leaf in leaves):
        raise ValueError(
            f"{where} must be {ALLOWED}. Received: {described(given)}, in "
            "which there is something that is no array of examples"
        )
    lengths = sorted({len(leaf) for leaf in leaves})
    if len(lengths) > 1:
        raise ValueError(
            f"{where}: all arrays must have the same number of examples. "
            f"Received: {lengths}"
        )
    return arrays


def _as_numpy(nest: Any) -> Any:
    def convert(leaf: Any) -> Any:
        if keras.ops.is_tensor(leaf):
            return keras.ops.convert_to_numpy(leaf)
        return np.asarray(leaf)

    return keras.tree.map_structure(convert, nest, none_is_leaf=False)
