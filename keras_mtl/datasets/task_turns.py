"""Batches of one task at a time, in shapes that do not change."""

import keras
import numpy as np

from keras_mtl.datasets.task_sources import Batch
from keras_mtl.datasets.task_sources import TaskSource
from keras_mtl.datasets.task_sources import generator_of
from keras_mtl.datasets.task_sources import num_samples


def draw_turns(
    sources: dict[str, TaskSource], seed: int, epoch: int
) -> list[tuple[str, int]]:
    """Returns, for each step of an epoch, its task and which of its batches.

    The batches of all tasks in random order: each occurs once.
    """
    turns = [
        task
        for task, source in sources.items()
        for _ in range(source.num_batches)
    ]
    # No task is without a name.
    order = generator_of(seed, "", epoch).permutation(len(turns))
    places = dict.fromkeys(sources, 0)
    schedule = []
    for number in order:
        task = turns[number]
        # The batches of a task in their own order, which is random already.
        schedule.append((task, places[task]))
        places[task] += 1
    return schedule


def take_turn(
    sources: dict[str, TaskSource], present: str, number: int, index: int
) -> dict[str, Batch]:
    """Returns a batch of one task, and samples of weight 0 of the others.

    Args:
        sources: Sources by task.
        present: The task whose turn it is.
        number: The number of the pass.
        index: Which batch of the pass.
    """
    batches = {}
    for task, source in sources.items():
        x, y, _ = batch = source.first_batch
        if task == present:
            size = num_samples(batch)
            batches[task] = _fill_up(source.in_pass(number, index), size)
        else:
            # Samples, not zeros: statistics and norms stay those of data.
            batches[task] = x, y, np.zeros_like(weight_of(batch))
    return batches


def weight_of(batch: Batch) -> np.ndarray:
    """Returns the sample weights of a batch, ones if it has none."""
    weight = batch[2]
    if weight is None:
        return np.ones(num_samples(batch), dtype=keras.config.floatx())
    return weight


def _fill_up(batch, size):
    """Repeats samples, with weight 0, up to a size."""
    x, y, _ = batch
    own = num_samples(batch)
    rows = np.arange(max(size, own)) % own
    x, y, weight = keras.tree.map_structure(
        lambda array: array[rows], (x, y, weight_of(batch)), none_is_leaf=False
    )
    weight[own:] = 0
    return x, y, weight
