"""Data sets of several sources: what an epoch has, and in which order."""

import hashlib
import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_mtl.datasets import MultiTaskDataset
from keras_mtl.datasets import Resampled


def samples(size, first=0):
    """Samples that are told apart by their numbers."""
    numbers = np.arange(first, first + size)
    return numbers[:, None].astype("float32"), numbers


class Batches(keras.utils.PyDataset):
    """Batches of two that count the epochs."""

    def __init__(self, size, first=0):
        super().__init__()
        self.x, self.y = samples(size, first)
        self.epochs = []

    def __len__(self):
        return -(-len(self.x) // 2)

    def __getitem__(self, index):
        rows = slice(2 * index, 2 * index + 2)
        return self.x[rows], self.y[rows]

    def on_epoch_begin(self):
        self.epochs.append("begin")

    def on_epoch_end(self):
        self.epochs.append("end")


def tf_data(arrays):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(arrays).batch(2)


def loader(arrays):
    torch = pytest.importorskip("torch")
    tensors = [torch.from_numpy(array.copy()) for array in arrays]
    data = torch.utils.data.TensorDataset(*tensors)
    return torch.utils.data.DataLoader(data, batch_size=2)


def epoch_of(dataset, number=0):
    """Returns the batches of an epoch, with its hooks called."""
    dataset.set_epoch(number)
    dataset.on_epoch_begin()
    batches = [dataset[index] for index in range(len(dataset))]
    dataset.on_epoch_end()
    assert dataset.epoch == number + 1
    return batches


def served(batches, task):
    """Returns the numbers of the samples that count, and checks the batches."""
    numbers = []
    for x, y, *rest in batches:
        np.testing.assert_array_equal(x[task][:, 0], y[task])
        counts = rest[0][task] > 0 if rest else np.ones(len(y[task]), bool)
        numbers.extend(y[task][counts].tolist())
    return numbers


def digest(dataset, epochs=2):
    value = hashlib.sha256()
    for number in range(epochs):
        for batch in epoch_of(dataset, number):
            for arrays in batch:
                for task in dataset.tasks:
                    value.update(np.ascontiguousarray(arrays[task]).tobytes())
    return value.hexdigest()


@st.composite
def problems(draw):
    sizes = draw(st.lists(st.integers(1, 23), min_size=1, max_size=3))
    tasks = [f"task{number}" for number in range(len(sizes))]
    sources = {
        task: samples(size, 100 * number)
        for number, (task, size) in enumerate(zip(tasks, sizes, strict=True))
    }
    batch_size = {task: draw(st.integers(1, 9)) for task in tasks}
    return sources, batch_size, draw(st.booleans()), draw(st.integers(0, 99))


@given(problems(), st.sampled_from(["cycle", "shortest"]))
def test_passes_of_arrays(problem, mode):
    sources, batch_size, shuffle, seed = problem
    dataset = MultiTaskDataset(sources, batch_size, mode, shuffle, seed)
    counts = {
        task: -(-len(y) // batch_size[task]) for task, (_, y) in sources.items()
    }
    assert len(dataset) == (max if mode == "cycle" else min)(counts.values())
    epochs = [epoch_of(dataset, number) for number in range(3)]
    for task, (_, y) in sources.items():
        if counts[task] == len(dataset):
            for batches in epochs:
                numbers = served(batches, task)
                assert sorted(numbers) == y.tolist()
                assert shuffle or numbers == y.tolist()
            continue
        numbers = [n for batches in epochs for n in served(batches, task)]
        assert len(numbers) == 3 * len(dataset) * batch_size[task]
        for start in range(0, len(numbers), len(y)):
            passed = numbers[start : start + len(y)]
            assert len(set(passed)) == len(passed)
            assert shuffle or passed == y[: len(passed)].tolist()


@given(problems())
def test_proportional_epochs(problem):
    sources, batch_size, shuffle, seed = problem
    dataset = MultiTaskDataset(
        sources, batch_size, "proportional", shuffle, seed
    )
    for number in range(2):
        batches = epoch_of(dataset, number)
        for task, (_, y) in sources.items():
            assert sorted(served(batches, task)) == y.tolist()
        for x, y, weight in batches:
            present = [task for task in weight if weight[task].any()]
            assert len(present) == 1
            for task, size in batch_size.items():
                assert x[task].shape == (size, 1)
                assert x[task].dtype == weight[task].dtype == np.float32
                assert y[task].shape == weight[task].shape == (size,)
                assert y[task].dtype == sources[task][1].dtype


def test_proportional_steps_are_drawn_in_proportion():
    # Two tasks of 30 and 10 batches: the first step is the first task's in
    # three of four epochs. 4 standard deviations of 400 draws.
    dataset = MultiTaskDataset(
        {"a": samples(30), "b": samples(10)}, 1, "proportional"
    )
    draws = []
    for number in range(400):
        dataset.set_epoch(number)
        draws.append(dataset[0][2]["a"][0])
    assert abs(np.mean(draws) - 0.75) < 4 * np.sqrt(0.75 * 0.25 / 400)


@settings(max_examples=30)
@given(problems(), st.sampled_from(["cycle", "shortest", "proportional"]))
def test_same_seed_same_batches(problem, mode):
    sources, batch_size, shuffle, seed = problem
    dataset = MultiTaskDataset(sources, batch_size, mode, shuffle, seed)
    expected = digest(dataset)
    # Neither the order of the calls nor what was asked for before matters.
    assert digest(dataset) == expected
    again = MultiTaskDataset(sources, batch_size, mode, shuffle, seed)
    again = pickle.loads(pickle.dumps(again))
    again.set_epoch(1)
    for index in reversed(range(len(again))):
        again[index]
    assert digest(again) == expected


def test_another_seed_epoch_or_task_has_another_order():
    sources = {"a": samples(50), "b": samples(50)}
    first, other = (MultiTaskDataset(sources, 50, seed=seed) for seed in (0, 1))
    orders = [
        first[0][1]["a"].tolist(),
        first[0][1]["b"].tolist(),
        other[0][1]["a"].tolist(),
        served(epoch_of(first, 1), "a"),
    ]
    assert len(set(map(tuple, orders))) == 4


def test_the_same_in_another_process():
    program = (
        "from tests.datasets.test_multi_task_dataset import *\n"
        "print(digest(example()))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    # Written down: the order is a promise to those who resume.
    assert result.stdout.split()[-1] == digest(example())
    assert digest(example()).startswith("d7b384abafef5d6d")


def example():
    sources = {"a": samples(10), "b": samples(3)}
    return MultiTaskDataset(sources, 4, mode="proportional", seed=5)


def test_short_batches_are_kept_or_dropped():
    sources = {"a": samples(10), "b": samples(3)}
    sizes = [len(y["a"]) for _, y in epoch_of(MultiTaskDataset(sources, 4))]
    assert sizes == [4, 4, 2]
    dataset = MultiTaskDataset(sources, 4, drop_remainder=True)
    batches = epoch_of(dataset)
    assert [len(y["a"]) for _, y in batches] == [4, 4]
    assert [len(y["b"]) for _, y in batches] == [4, 4]
    assert len(set(served(batches, "a"))) == 8


def test_example_of_the_documentation():
    dataset = MultiTaskDataset(
        {
            "amazon": (np.zeros((70, 8)), np.zeros(70)),
            "dslr": (np.ones((10, 8)), np.ones(10)),
        },
        batch_size={"amazon": 32, "dslr": 8},
    )
    assert len(dataset) == 3
    x, y = dataset[2]
    assert x["amazon"].shape == (6, 8) and x["dslr"].shape == (8, 8)
    assert x["amazon"].dtype == np.float32


def test_nested_inputs_and_weights():
    x, y = samples(6)
    sources = {
        "a": ({"left": x, "right": (x, 2 * x)}, y, np.linspace(1, 2, 6)),
        "b": samples(2),
    }
    dataset = MultiTaskDataset(sources, 2, shuffle=False)
    batch_x, batch_y, weight = dataset[1]
    np.testing.assert_array_equal(batch_x["a"]["left"], x[2:4])
    np.testing.assert_array_equal(batch_x["a"]["right"][1], 2 * x[2:4])
    np.testing.assert_allclose(weight["a"], [1.4, 1.6], rtol=1e-6)
    np.testing.assert_array_equal(weight["b"], [1, 1])
    assert weight["a"].dtype == weight["b"].dtype == np.float32
    dataset = MultiTaskDataset(sources, 4, "proportional", shuffle=False)
    for batch_x, _, weight in epoch_of(dataset):
        assert batch_x["a"]["right"][0].shape == (4, 1)
        if weight["a"].any():
            assert weight["a"][0] in (1, np.float32(1.8))


@pytest.mark.parametrize("mode", ["cycle", "shortest", "proportional"])
def test_every_mix_of_sources(mode):
    batches = Batches(5, 100)
    sources = {
        "array": samples(7),
        "indexed": batches,
        "tf_data": tf_data(samples(9, 200)),
        "loader": loader(samples(3, 300)),
    }
    dataset = MultiTaskDataset(sources, 2, mode)
    counts = {"array": 4, "indexed": 3, "tf_data": 5, "loader": 2}
    length = {"cycle": 5, "shortest": 2, "proportional": 14}[mode]
    assert len(dataset) == length
    passes = {
        "array": range(7),
        "indexed": range(100, 105),
        "tf_data": range(200, 209),
        "loader": range(300, 303),
    }
    for number in range(2):
        epoch = epoch_of(dataset, number)
        for task, numbers in passes.items():
            found = served(epoch, task)
            assert set(found) <= set(numbers)
            if mode == "proportional" or counts[task] == length:
                assert sorted(found) == list(numbers)
            elif counts[task] < length and number == 0:
                # More than one pass, from the first on.
                assert set(found) == set(numbers)
                assert len(found) > len(numbers)
        for batch in epoch:
            for array in keras.tree.flatten(batch):
                assert isinstance(array, np.ndarray)
    assert batches.epochs == ["begin", "end"] * 2


def test_streams_begin_anew_with_an_epoch():
    dataset = MultiTaskDataset(
        {"a": tf_data(samples(6)), "b": loader(samples(20))}, mode="shortest"
    )
    # A look outside of an epoch, as Keras has it.
    dataset[0]
    dataset.on_epoch_end()
    assert dataset.epoch == 0
    for number in range(2):
        epoch = epoch_of(dataset, number)
        assert served(epoch, "a") == served(epoch, "b") == list(range(6))


def test_a_look_at_one_batch_is_no_epoch():
    dataset = MultiTaskDataset({"a": samples(4)}, 2)
    for number in range(3):
        assert dataset.epoch == number
        dataset.on_epoch_begin()
        dataset[0]
        dataset.on_epoch_end()
        assert dataset.epoch == number
        dataset.on_epoch_begin()
        assert len(list(dataset)) == 2
        dataset.on_epoch_end()
    dataset.set_epoch(0)
    assert [len(y["a"]) for _, y in dataset] == [2, 2]
    dataset.on_epoch_end()
    assert dataset.epoch == 0
    with pytest.raises(IndexError, match="There are 2 batches"):
        dataset[2]


class Recorder(MultiTaskDataset):
    """Remembers what it was asked for."""

    asked: list = []

    def __getitem__(self, index):
        self.asked.append((self.epoch, index))
        return super().__getitem__(index)


def two_inputs(seed=0):
    keras.utils.set_random_seed(seed)
    a, b = (keras.Input((1,), name=name) for name in "ab")
    shared = keras.layers.Dense(4, activation="tanh")
    heads = {"a": keras.layers.Dense(1), "b": keras.layers.Dense(1)}
    outputs = {
        "a": heads["a"](shared(a)),
        "b": heads["b"](shared(b)),
    }
    model = keras.Model({"a": a, "b": b}, outputs)
    # An optimizer with state, which must be restored as well.
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        {"a": "mse", "b": "mse"},
        weighted_metrics={"a": ["mae"], "b": ["mae"]},
    )
    return model


def scaled(size):
    x, y = samples(size)
    return x / size, y / size


@pytest.mark.parametrize("mode", ["cycle", "proportional"])
@pytest.mark.parametrize("workers", [1, 2])
def test_fit(mode, workers):
    dataset = MultiTaskDataset(
        {"a": scaled(20), "b": scaled(7)},
        4,
        mode,
        drop_remainder=mode == "cycle",
        workers=workers,
    )
    logs = two_inputs().fit(dataset, epochs=4, verbose=0).history
    assert logs["loss"][-1] < 0.7 * logs["loss"][0]
    assert logs["a_mae"][-1] > 0
    # With workers, what Keras looked at to build the model counts as well.
    assert dataset.epoch == 4 or workers == 2


def test_fit_of_streams():
    dataset = MultiTaskDataset(
        {"a": tf_data(scaled(8)), "b": loader(scaled(4))}, workers=2
    )
    model = two_inputs()
    model.fit(dataset, epochs=2, verbose=0)
    assert np.isfinite(model.evaluate(dataset, verbose=0)).all()


def follow(dataset):
    return keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: dataset.set_epoch(epoch)
    )


def test_training_resumes_with_the_batches_of_an_uninterrupted_run(tmp_path):
    sources = {"a": scaled(10), "b": scaled(3)}

    def run(epochs, *callbacks, seed=0):
        dataset = Recorder(sources, 2)
        dataset.asked = []
        model = two_inputs(seed)
        model.fit(
            dataset,
            epochs=epochs,
            shuffle=False,
            verbose=0,
            callbacks=[*callbacks, follow(dataset)],
        )
        return model.get_weights(), dataset.asked

    expected, asked = run(4)
    for epoch in range(4):
        assert [pair for pair in asked if pair[0] == epoch][-5:] == [
            (epoch, index) for index in range(5)
        ]
    backup = keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
    run(2, backup)
    backup = keras.callbacks.BackupAndRestore(tmp_path)
    # Other weights at first: all comes from the file.
    weights, asked = run(4, backup, seed=1)
    assert (2, 1) in asked and (1, 1) not in asked
    for value, other in zip(weights, expected, strict=True):
        np.testing.assert_array_equal(value, other)


def stream(elements, length):
    """What can be iterated over, and may have a length."""

    class Stream:
        def __iter__(self):
            return iter(elements)

    if length is not None:
        Stream.__len__ = lambda self: length
    return Stream()


x4, y4 = samples(4)


@pytest.mark.parametrize(
    "source, message",
    [
        ((x4, y4[:3]), r"same number of samples. Received: \[3, 4\]"),
        ((x4[:0], y4[:0]), "has no samples. Leave the task out"),
        ((), r"Received: a tuple of 0\."),
        ((x4, None), "labels of task 'a' must be one array"),
        ((x4, {"b": y4}), "Give each label array a task of its own"),
        (([0.0, 1.0], y4[:2]), "must be arrays, or dicts, tuples and lists"),
        ("x4", "Received: str"),
        (range(3), "Received: range"),
        (
            (pair for pair in [(x4, y4)]),
            "a keras.utils.PyDataset with a `__len",
        ),
        (stream([(x4, y4)], None), "unknown or infinite"),
        (stream([], 0), "has no batches. Leave the task out"),
        (stream([], 2), "has no batches. Leave the task out"),
        (stream([x4], 1), r"Received: a ndarray\."),
        (stream([(x4[0], y4[0])], 1), "single samples or numbers. Batch it"),
        (Batches(0), "has no batches. Leave the task out"),
    ],
)
@pytest.mark.parametrize("mode", ["cycle", "shortest"])
def test_wrong_sources(source, message, mode):
    with pytest.raises(ValueError, match=message):
        MultiTaskDataset({"a": source, "b": (x4, y4)}, mode=mode)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.repeat(),
        lambda data: data.filter(lambda x, y: y[0] > 0),
    ],
)
def test_tf_data_of_unknown_length(change):
    data = change(tf_data(samples(4)))
    with pytest.raises(ValueError, match="Remove `.repeat\\(\\)`"):
        MultiTaskDataset({"a": data})


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"sources": {}}, "from tasks to sources, not empty"),
        ({"sources": [(x4, y4)]}, "must be a dict from tasks"),
        ({"mode": "random"}, "Received: mode='?random"),
        ({"batch_size": 0}, "Received: batch_size=0"),
        (
            {"batch_size": {"a": 2}},
            r"Expected: \['a', 'b'\]. Received: \['a'\]",
        ),
        ({"batch_size": {"a": 2, "b": 1.5}}, "Received: batch_size=1.5"),
        ({"seed": None}, "must be an integer, not None"),
        ({"seed": -1}, "Received: seed=-1"),
        (
            {"batch_size": 8, "drop_remainder": True},
            "Task 'a' has fewer samples than `batch_size`",
        ),
        (
            {"batch_size": 3, "drop_remainder": True, "mode": "proportional"},
            "Task 'b' has fewer samples than `batch_size`",
        ),
    ],
)
def test_wrong_arguments(arguments, message):
    arguments = {"sources": {"a": (x4, y4), "b": samples(2)}, **arguments}
    with pytest.raises(ValueError, match=message):
        MultiTaskDataset(**arguments)
    dataset = MultiTaskDataset({"a": (x4, y4)})
    with pytest.raises(ValueError, match="Received: epoch=-1"):
        dataset.set_epoch(-1)


def test_streams_are_not_shared_by_processes():
    sources = {"a": (x4, y4), "b": stream([(x4, y4)], 1)}
    with pytest.raises(ValueError, match="'b' is a stream, which several"):
        MultiTaskDataset(sources, use_multiprocessing=True)
    dataset = MultiTaskDataset(sources)
    dataset.use_multiprocessing = True
    with pytest.raises(ValueError, match="use_multiprocessing=False"):
        dataset.on_epoch_begin()


def test_points_without_labels_that_are_drawn_anew():
    def draw(generator):
        return generator.uniform(size=(4, 2))

    def make(**kwargs):
        sources = {
            "inside": Resampled(draw, every=2),
            "ends": (np.ones((2, 2)), np.zeros((2, 1))),
            **kwargs,
        }
        return MultiTaskDataset(
            sources, batch_size={"inside": 4, "ends": 1}, shuffle=False
        )

    dataset, drawn = make(), []
    for epoch in range(4):
        dataset.set_epoch(epoch)
        x, y = dataset[1]
        assert list(y) == ["ends"] and x["ends"].shape == (1, 2)
        drawn.append(x["inside"])
    assert (drawn[0] == drawn[1]).all() and (drawn[2] == drawn[3]).all()
    assert (drawn[1] != drawn[2]).any()
    again = make()
    again.set_epoch(3)
    np.testing.assert_array_equal(again[0][0]["inside"], drawn[3])
    only = MultiTaskDataset({"inside": np.ones((4, 2))})
    (batch,) = only[0]
    assert batch["inside"].shape == (4, 2)
    sizes = iter((4, 3))
    other = Resampled(lambda _: np.ones((next(sizes), 2)))
    dataset = make(inside=other)
    dataset.set_epoch(1)
    with pytest.raises(ValueError, match="must always draw as many"):
        dataset[0]
