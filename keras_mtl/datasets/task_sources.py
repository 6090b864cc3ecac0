"""Where the batches of one task come from: arrays, indices or a stream."""

import threading
import zlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_mtl.datasets.resampled import Resampled

#: `(x, y, sample_weight)`: nested arrays, an array or `None` each.
Batch = tuple[Any, np.ndarray | None, np.ndarray | None]


class TaskSource:
    """Batches of one task; a pass has each sample once.

    Attributes:
        num_batches: Number of batches of a pass.
        first_batch: A batch of full size.
        is_stream: Whether batches only come one after the other.
    """

    is_stream = False
    num_batches: int
    first_batch: Batch

    def __init__(self, task: str, shuffle: bool, seed: int):
        self.task = task
        self.shuffle = shuffle
        self.seed = seed
        self._orders = dict[int, np.ndarray]()

    def in_pass(self, number: int, index: int) -> Batch:
        """Returns a batch of the pass of that number."""
        raise NotImplementedError

    def at_epoch(self, epoch: int) -> None:
        """Tells the source which epoch batches are asked for."""

    def endless(self, index: int) -> Batch:
        """Returns a batch of pass 0, pass 1 and so on in a row."""
        return self.in_pass(*divmod(index, self.num_batches))

    def on_epoch_begin(self) -> None:
        """Tells the source that an epoch begins."""

    def on_epoch_end(self) -> None:
        """Tells the source that an epoch is over."""

    def order(self, number: int, size: int) -> np.ndarray:
        """Returns the order of a pass, from seed, task and its number."""
        if not self.shuffle:
            return np.arange(size)
        order = self._orders.get(number)
        if order is None:
            generator = generator_of(self.seed, self.task, number)
            order = generator.permutation(size)
            # A batch spans two passes at most, if passes have many. One
            # assignment: other threads see the old cache or the new one.
            kept = list(self._orders.items())[-2:]
            self._orders = {**dict(kept), number: order}
        return order

    def __getstate__(self):
        return {**self.__dict__, "_orders": {}}


class ArraySource(TaskSource):
    """Arrays of which batches are cut."""

    def __init__(self, task, arrays, shuffle, seed, batch_size, drop_remainder):
        super().__init__(task, shuffle, seed)
        self.arrays = _checked_arrays(task, arrays)
        self.batch_size = batch_size
        self.num_samples = num_samples(self.arrays)
        full, rest = divmod(self.num_samples, batch_size)
        self.num_batches = full + (rest > 0 and not drop_remainder)
        rows = np.arange(batch_size) % self.num_samples
        self.first_batch = self._take(rows)

    def in_pass(self, number, index):
        start = index * self.batch_size
        order = self.order(number, self.num_samples)
        return self._take(order[start : start + self.batch_size])

    def endless(self, index):
        places = np.arange(self.batch_size) + index * self.batch_size
        passes, places = np.divmod(places, self.num_samples)
        rows = [
            self.order(int(number), self.num_samples)[places[passes == number]]
            for number in np.unique(passes)
        ]
        return self._take(np.concatenate(rows))

    def _take(self, rows):
        return keras.tree.map_structure(
            lambda array: _as_float(array[rows]),
            self.arrays,
            none_is_leaf=False,
        )


class DrawnSource(ArraySource):
    """Arrays that a function draws anew from time to time."""

    def __init__(
        self, task, resampled, shuffle, seed, batch_size, drop_remainder
    ):
        self._resampled = resampled
        self._number, self._seed = 0, seed
        self._task = task
        super().__init__(
            task, self._draw(), shuffle, seed, batch_size, drop_remainder
        )

    def at_epoch(self, epoch):
        number = epoch // self._resampled.every
        if number == self._number:
            return
        self._number = number
        arrays = _checked_arrays(self.task, self._draw())
        if num_samples(arrays) != self.num_samples:
            raise ValueError(
                f"The function that draws the samples of task {self.task!r} "
                "must always draw as many. Received: "
                f"{num_samples(arrays)}, after {self.num_samples} before."
            )
        self.arrays = arrays

    def _draw(self):
        generator = generator_of(
            self._seed, f"{self._task}/samples", self._number
        )
        return as_batch(self._resampled.function(generator))


class IndexedSource(TaskSource):
    """A `keras.utils.PyDataset`, whose batches have numbers."""

    def __init__(self, task, dataset, shuffle, seed):
        super().__init__(task, shuffle, seed)
        self.dataset = dataset
        self.num_batches = _checked_length(task, dataset.num_batches)
        self.first_batch = checked_batch(task, dataset[0])

    def in_pass(self, number, index):
        place = self.order(number, self.num_batches)[index]
        return checked_batch(self.task, self.dataset[int(place)])

    def on_epoch_begin(self):
        self.dataset.on_epoch_begin()

    def on_epoch_end(self):
        self.dataset.on_epoch_end()


class StreamSource(TaskSource):
    """A tf.data data set or a DataLoader: the next batch, whatever the index.

    It begins anew when it is exhausted, and with each epoch.
    """

    is_stream = True

    def __init__(self, task: str, stream: Any):
        super().__init__(task, shuffle=False, seed=0)
        self.stream = stream
        self.num_batches = _checked_length(task, _length(stream))
        self._iterator: Iterator | None = None
        # Threads take turns.
        self._lock = threading.Lock()
        self.first_batch = self.in_pass(0, 0)
        self._iterator = None

    def in_pass(self, number, index):
        with self._lock:
            batch = self._next()
            if batch is None:
                self._iterator = None
                batch = self._next()
        if batch is None:
            raise _no_batches(self.task)
        return checked_batch(self.task, batch)

    def _next(self):
        if self._iterator is None:
            self._iterator = iter(self.stream)
        return next(self._iterator, None)

    def on_epoch_end(self):
        # Not when an epoch begins: parallel workers begin before that.
        with self._lock:
            self._iterator = None


def as_source(
    task: str,
    source: Any,
    shuffle: bool,
    seed: int,
    batch_size: int,
    drop_remainder: bool,
) -> TaskSource:
    """Returns the source of a task's batches, by the kind of what is given."""
    if isinstance(source, Resampled):
        return DrawnSource(
            task, source, shuffle, seed, batch_size, drop_remainder
        )
    if has_arrays(source):
        return ArraySource(
            task, as_batch(source), shuffle, seed, batch_size, drop_remainder
        )
    if isinstance(source, keras.utils.PyDataset):
        return IndexedSource(task, source, shuffle, seed)
    # What has indices has samples, not batches.
    if hasattr(source, "__iter__") and not hasattr(source, "__getitem__"):
        return StreamSource(task, source)
    raise ValueError(
        f"The source of task {task!r} must be a tuple (x, y) or (x, y, "
        "sample_weight) of arrays, an array without labels, a "
        "`keras_mtl.datasets.Resampled`, a keras.utils.PyDataset, a batched "
        "tf.data.Dataset or a torch DataLoader. Received: "
        f"{type(source).__name__}"
    )


def has_arrays(source: Any) -> bool:
    """Whether a source is of arrays of which batches are cut."""
    return isinstance(source, (tuple, list, dict)) or hasattr(
        source, "__array__"
    )


def as_batch(arrays: Any) -> Any:
    """Arrays as a tuple; those alone are inputs without labels."""
    return arrays if isinstance(arrays, (tuple, list)) else (arrays,)


def num_samples(batch: Any) -> int:
    """The number of samples of a batch."""
    return len(next(a for a in keras.tree.flatten(batch) if a is not None))


def generator_of(seed: int, name: str, number: int) -> np.random.Generator:
    """Returns random numbers that are the same in every process."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), number])


def checked_batch(task: str, batch: Any) -> Batch:
    """Returns a batch as NumPy arrays, or raises `ValueError`."""
    if not isinstance(batch, (tuple, list)) or len(batch) not in (1, 2, 3):
        raise ValueError(
            f"The source of task {task!r} must yield (x, y), (x, y, "
            "sample_weight) or, for a loss without labels, (x,). Received: "
            f"{_described(batch)}."
        )
    x, y, weight = (*batch, None, None)[:3]
    if len(batch) > 1 and (y is None or keras.tree.is_nested(y)):
        raise ValueError(
            f"The labels of task {task!r} must be one array. Received: "
            f"{_described(y)}. Give each label array a task of its own."
        )
    arrays = keras.tree.map_structure(
        lambda leaf: _as_numpy(task, leaf), (x, y, weight), none_is_leaf=False
    )
    leaves = [leaf for leaf in keras.tree.flatten(arrays) if leaf is not None]
    if any(leaf.ndim == 0 for leaf in leaves):
        raise ValueError(
            f"The source of task {task!r} must yield batches, but yields "
            "single samples or numbers. Batch it, for instance with "
            "`dataset.batch(32)`."
        )
    lengths = {len(leaf) for leaf in leaves}
    if len(lengths) > 1:
        raise ValueError(
            f"All arrays of task {task!r} must have the same number of "
            f"samples. Received: {sorted(lengths)}"
        )
    return arrays


def _checked_arrays(task, arrays):
    arrays = checked_batch(task, tuple(arrays))
    if not num_samples(arrays):
        raise ValueError(
            f"The source of task {task!r} has no samples. Leave the task "
            "out, or give it data."
        )
    return arrays


def _checked_length(task, length):
    if length is None:
        raise ValueError(
            f"The number of batches of task {task!r} is unknown or infinite, "
            "and an epoch needs it. Remove `.repeat()`; tell tf.data the "
            "number with `tf.data.experimental.assert_cardinality`; or put a "
            "generator into a keras.utils.PyDataset with a `__len__`."
        )
    if length < 1:
        raise _no_batches(task)
    return int(length)


def _no_batches(task):
    return ValueError(
        f"The source of task {task!r} has no batches. Leave the task out, or "
        "give it data."
    )


def _length(stream):
    try:
        return len(stream)
    except TypeError:
        # Of tf.data where it does not know, and of generators.
        return None


def _as_numpy(task, leaf):
    if hasattr(leaf, "detach"):
        leaf = leaf.detach().cpu()
    if not hasattr(leaf, "__array__"):
        raise ValueError(
            f"The data of task {task!r} must be arrays, or dicts, tuples and "
            f"lists of them. Received: {_described(leaf)}"
        )
    return _as_float(np.asarray(leaf))


def _as_float(array):
    """Casts floating point numbers as `fit` does with arrays."""
    if np.issubdtype(array.dtype, np.floating):
        return array.astype(keras.config.floatx(), copy=False)
    return array


def _described(value):
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"
