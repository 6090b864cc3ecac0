"""One data set out of one per task."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_mtl.arguments import checked_choice
from keras_mtl.arguments import checked_integer
from keras_mtl.datasets.resampled import Resampled
from keras_mtl.datasets.task_sources import Batch
from keras_mtl.datasets.task_sources import as_source
from keras_mtl.datasets.task_sources import has_arrays
from keras_mtl.datasets.task_turns import draw_turns
from keras_mtl.datasets.task_turns import take_turn
from keras_mtl.datasets.task_turns import weight_of
from keras_mtl.export import keras_mtl_export
from keras_mtl.seeded import checked_seed

MODES = ("cycle", "shortest", "proportional")


@keras_mtl_export("keras_mtl.datasets.MultiTaskDataset")
class MultiTaskDataset(keras.utils.PyDataset):
    """Zips a data set per task into one, for tasks with inputs of their own.

    For multi-input problems such as Office-31, where each task has its own
    images, and for losses on points of their own
    (`keras_mtl.losses.Task(data=...)`): each batch is `(x, y)` or `(x, y,
    sample_weight)`, with dicts by task. It is a `keras.utils.PyDataset`, so
    `fit` takes it on every backend.

    The batches of arrays, and the order of a `PyDataset`'s batches, depend on
    `seed`, the number of the epoch and the index alone: they are the same on
    every backend, in every process and in every worker. What a tf.data data
    set or a DataLoader yields is its own affair: it begins anew with each
    epoch, and gives its next batch whatever the index is.

    `fit` shuffles the indices unless told `shuffle=False`, and the number of
    the epoch advances by itself after each full epoch. To resume where
    training stopped, tie it to that of `fit`; then `initial_epoch` and
    `keras.callbacks.BackupAndRestore` go on with the batches that an
    uninterrupted run has. Streams are not restored, nor is a place within an
    epoch:

    ```python
    dataset = keras_mtl.datasets.MultiTaskDataset(
        {"a": (np.zeros((8, 2)), np.zeros(8)), "b": (np.ones(4), np.ones(4))}
    )
    follow = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: dataset.set_epoch(epoch)
    )
    # model.fit(dataset, shuffle=False, callbacks=[follow], initial_epoch=3)
    ```

    Args:
        sources: Dict from tasks to sources, each of which is one of

            - a tuple `(x, y)` or `(x, y, sample_weight)` of arrays, from
              which batches are cut. `x` may be a dict, tuple or list of
              arrays. An array, or a dict of them, is `x` without labels;
            - a `keras_mtl.datasets.Resampled`, which draws such arrays anew;
            - a `keras.utils.PyDataset`, a batched `tf.data.Dataset` or a
              torch `DataLoader`, of known length, that yields such tuples.
              One batch of each is read at once, to know its shape.

            Floating point numbers are cast to `keras.config.floatx()`.
        batch_size: Batch size of the arrays: an integer, or a dict from tasks
            to integers. Defaults to `32`.
        mode: What an epoch is:

            - `"cycle"`: a pass through the sources with the most batches.
              The others go on with their next pass where they end, across
              epochs too, and their batches, if cut from arrays, are always
              full;
            - `"shortest"`: a pass through the sources with the fewest
              batches. The others go on in the next epoch where they are;
            - `"proportional"`: a pass through all sources, in which each
              batch is of one task. The batches of all tasks are drawn in
              random order, so that a step is a task's with a probability
              proportional to its number of batches. The entries of the other
              tasks are the first samples of their sources with
              `sample_weight` 0, and short batches are filled up in the same
              way: all shapes stay fixed. Use `weighted_metrics` with it;
              unweighted ones would count these samples.

            Defaults to `"cycle"`.
        shuffle: Whether the samples of arrays, and the batches of a
            `PyDataset`, are put in a new order for each pass. The order of
            the tasks of `"proportional"` is always random. Defaults to
            `True`.
        seed: Integer from 0 to 2^31 - 1. Defaults to `0`.
        drop_remainder: Whether the last batch of a pass is left out if there
            are too few samples for a full one. If not, it is short, and JAX
            compiles the step for its shape as well. Sources other than arrays
            decide for themselves. Defaults to `False`.
        **kwargs: `workers`, `use_multiprocessing` and `max_queue_size` of
            `keras.utils.PyDataset`. Arrays may be read by several threads and
            processes, streams by several threads only, in an order that is
            left open. With more than one worker, Keras hands on in the first
            epoch what it fetched ahead when it built the model: leave the
            default, one worker, where the order must repeat.

    Raises:
        ValueError: If a source is empty, of unknown length or of
            an unknown kind, if its arrays differ in length, or if an argument
            is out of range.

    Example:

    ```python
    dataset = keras_mtl.datasets.MultiTaskDataset(
        {
            "amazon": (np.zeros((70, 8)), np.zeros(70)),
            "dslr": (np.ones((10, 8)), np.ones(10)),
        },
        batch_size={"amazon": 32, "dslr": 8},
    )
    len(dataset)  # 3: batches of amazon have 32, 32 and 6 samples
    x, y = dataset[2]
    x["amazon"].shape  # (6, 8)
    x["dslr"].shape  # (8, 8)
    ```

    References:
        X. Liu et al., Multi-Task Deep Neural Networks for Natural Language
        Understanding, ACL 2019, Algorithm 1, for `"proportional"`,
        [arXiv:1901.11504](https://arxiv.org/abs/1901.11504).
    """

    def __init__(
        self,
        sources: Mapping[str, Any],
        batch_size: int | Mapping[str, int] = 32,
        mode: str = "cycle",
        shuffle: bool = True,
        seed: int = 0,
        drop_remainder: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not isinstance(sources, Mapping) or not sources:
            raise ValueError(
                "Argument `sources` must be a dict from tasks to sources, "
                f"not empty. Received: sources of type {type(sources).__name__}"
            )
        self.mode = checked_choice("mode", mode, MODES)
        self.shuffle = bool(shuffle)
        if checked_seed(seed) is None:
            raise ValueError("Argument `seed` must be an integer, not None.")
        self.seed = seed
        sizes = _batch_sizes(batch_size, sources)
        self._sources = {
            task: as_source(
                task, source, self.shuffle, seed, sizes[task], drop_remainder
            )
            for task, source in sources.items()
        }
        self._check_workers()
        self._num_batches = self._count_batches()
        self._weighted = self.mode == "proportional" or any(
            source.first_batch[2] is not None
            for source in self._sources.values()
        )
        self._epoch = 0
        self._turns: tuple[int, list[tuple[str, int]]] = (-1, [])
        # Since when; Keras asks for batches outside of epochs as well.
        self._is_running = False
        self._num_served = 0

    @property
    def tasks(self) -> list[str]:
        """The tasks, in the order of the sources."""
        return list(self._sources)

    @property
    def epoch(self) -> int:
        """The number of the epoch whose batches are given."""
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """Has the batches of an epoch given from here on.

        Args:
            epoch: Its number, from 0.
        """
        self._epoch = checked_integer("epoch", epoch, low=0)
        self._num_served = 0

    def on_epoch_begin(self) -> None:
        self._check_workers()
        self._is_running = True
        for source in self._sources.values():
            source.on_epoch_begin()

    def on_epoch_end(self) -> None:
        # Keras begins an epoch to look at one batch, too. What workers have
        # served is either unknown here or more than was used.
        if self._is_running and (
            self._in_parallel() or self._num_served >= self._num_batches
        ):
            self.set_epoch(self._epoch + 1)
        self._is_running = False
        for source in self._sources.values():
            source.on_epoch_end()

    def __len__(self) -> int:
        return self._num_batches

    def __getitem__(self, index: int) -> tuple[dict[str, Any], ...]:
        if not 0 <= index < self._num_batches:
            raise IndexError(
                f"There are {self._num_batches} batches. Received: "
                f"index={index}"
            )
        self._num_served += self._is_running
        for source in self._sources.values():
            source.at_epoch(self._epoch)
        if self.mode == "proportional":
            batches = self._one_task(index)
        else:
            batches = self._all_tasks(index)
        x = {task: batch[0] for task, batch in batches.items()}
        y = {
            task: batch[1]
            for task, batch in batches.items()
            if batch[1] is not None
        }
        if not self._weighted:
            return (x, y) if y else (x,)
        return x, y, {task: weight_of(batch) for task, batch in batches.items()}

    def _all_tasks(self, index) -> dict[str, Batch]:
        batches = {}
        for task, source in self._sources.items():
            if source.num_batches == self._num_batches:
                batches[task] = source.in_pass(self._epoch, index)
            else:
                index_of_all = self._epoch * self._num_batches + index
                batches[task] = source.endless(index_of_all)
        return batches

    def _one_task(self, index) -> dict[str, Batch]:
        epoch, turns = self._turns
        if epoch != self._epoch:
            epoch = self._epoch
            turns = draw_turns(self._sources, self.seed, epoch)
            self._turns = epoch, turns
        return take_turn(self._sources, turns[index][0], epoch, turns[index][1])

    def _count_batches(self):
        counts = {
            task: source.num_batches for task, source in self._sources.items()
        }
        if self.mode == "cycle":
            count = max(counts.values())
        elif self.mode == "shortest":
            count = min(counts.values())
        else:
            count = sum(counts.values())
        small = [task for task, size in counts.items() if size == 0]
        if small and (count == 0 or self.mode == "proportional"):
            raise ValueError(
                f"Task {small[0]!r} has fewer samples than `batch_size`, and "
                "`drop_remainder=True` leaves none of them. Use a smaller "
                "`batch_size` for it, or `drop_remainder=False`."
            )
        return count

    def _in_parallel(self):
        return self.workers > 1 or (
            self.workers > 0 and self.use_multiprocessing
        )

    def _check_workers(self):
        streams = [
            task for task, source in self._sources.items() if source.is_stream
        ]
        if self.use_multiprocessing and streams:
            raise ValueError(
                f"The source of task {streams[0]!r} is a stream, which "
                "several processes cannot share. Use "
                "`use_multiprocessing=False`; tf.data and DataLoader have "
                "workers of their own."
            )


def _batch_sizes(batch_size, sources):
    if not isinstance(batch_size, Mapping):
        size = checked_integer("batch_size", batch_size)
        return dict.fromkeys(sources, size)
    of_arrays = {
        task
        for task, source in sources.items()
        if isinstance(source, Resampled) or has_arrays(source)
    }
    if set(batch_size) != of_arrays:
        raise ValueError(
            "Argument `batch_size` must be an integer, or a dict with one "
            "entry per task with arrays; other sources make batches of their "
            f"own size. Expected: {sorted(of_arrays)}. Received: "
            f"{sorted(batch_size)}"
        )
    return {
        task: checked_integer("batch_size", batch_size.get(task, 1))
        for task in sources
    }
