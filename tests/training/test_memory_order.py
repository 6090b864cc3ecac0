"""The order in memory of weights and gradients on torch."""

import platform
import subprocess
import sys
import types
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl
from keras_mtl import backend
from keras_mtl.gradients.jacobian import Jacobian
from training import toy

pytestmark = pytest.mark.skipif(
    toy.BACKEND != "torch", reason="others choose the order by themselves"
)

SHAPE = (3, 3, 16, 24)


def images(count=4):
    return np.random.default_rng(0).normal(size=(count, 6, 6, 16))


def make_model(num_tasks, optimizer, dropout=False):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 16))
    features = keras.layers.Conv2D(SHAPE[-1], 3, name="trunk")(inputs)
    features = keras.layers.Flatten()(features)
    if dropout:
        features = keras.layers.Dropout(0.3)(features)
    tasks = [f"task_{k}" for k in range(num_tasks)]
    model = keras_mtl.MultiTaskModel(
        inputs, {task: keras.layers.Dense(1)(features) for task in tasks}
    )
    y = {task: np.full((4, 1), k) for k, task in enumerate(tasks)}
    return model, optimizer, dict.fromkeys(tasks, "mse"), y


def copies_of_kernels(function):
    """Copies of tensors as large as the kernel that `function` makes."""
    from torch.utils._python_dispatch import TorchDispatchMode

    found = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            name = func.overloadpacket.__name__
            if name in ("clone", "copy_", "_to_copy") and args[
                0
            ].numel() == np.prod(SHAPE):
                target, source = result, args[1 if name == "copy_" else 0]
                if target.stride() != source.stride():
                    found.append((name, source.stride(), target.stride()))
            return result

    with Watch():
        function()
    return found


@pytest.mark.parametrize("num_tasks", [2, 5])
@pytest.mark.parametrize("strategy", ["ew", "mgda", "db_mtl", "fs_mtl"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_steps_after_the_first_do_not_turn_kernels_around(
    strategy, optimizer, num_tasks
):
    model, optimizer, loss, y = make_model(num_tasks, optimizer)
    model.compile(optimizer, loss, strategy=strategy)
    x = images()

    def step():
        model.train_on_batch(x, y)

    # As Keras makes them, kernels lie as their shape says; gradients do not.
    assert copies_of_kernels(step)
    assert copies_of_kernels(step) == []


def test_weights_are_those_of_plain_keras():
    results = []
    for cls, settings in (
        (keras_mtl.MultiTaskModel, {"strategy": "ew"}),
        (keras.Model, {}),
    ):
        model, optimizer, loss, y = make_model(2, keras.optimizers.SGD(1e-3))
        inputs, outputs = model.network.inputs, model.network.outputs
        named = dict(zip(loss, outputs, strict=True))
        model = cls(inputs[0], named)
        model.compile(optimizer, loss, **settings)
        model.fit(images(), y, epochs=4, verbose=0)
        results.append(model.get_weights())
    toy.assert_near(*results, atol=1e-6)
    assert results[0][0].shape == SHAPE


@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("strategy", ["db_mtl", "moco", "adaptive"])
def test_training_goes_on_from_a_file_bit_for_bit(tmp_path, strategy, dropout):
    if strategy == "adaptive":
        strategy = keras_mtl.strategies.FSMTL(adaptive=True)
    model, optimizer, loss, y = make_model(2, "adam", dropout)
    model.compile(optimizer, loss, strategy=strategy)

    def state(of):
        lists = (of.weights, of.strategy.variables, of.optimizer.variables)
        return [array for each in lists for array in toy.arrays(each)]

    def train(one):
        # Of torch's own random numbers, too.
        keras.utils.set_random_seed(1)
        one.fit(images(), y, epochs=2, verbose=0)

    train(model)
    assert not model.network.get_layer("trunk").kernel.value.is_contiguous()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    toy.assert_same(toy.arrays(model.weights), toy.arrays(loaded.weights))
    train(model)
    train(loaded)
    toy.assert_same(state(model), state(loaded))


def stacks_of(rows, order):
    """Stacks `[K, *shape]` whose rows have their axes in an order in memory."""
    back = [0, *(1 + order.index(axis) for axis in range(len(order)))]
    array = np.transpose(rows, [0, *(1 + axis for axis in order)])
    return ops.transpose(ops.convert_to_tensor(array.copy()), back)


@pytest.mark.parametrize("num_tasks", [2, 3, 8, 17])
@pytest.mark.parametrize("orders", ["equal", "different"])
@pytest.mark.parametrize("as_rows", [True, False])
def test_products_and_sums_are_those_of_any_order(num_tasks, orders, as_rows):
    generator = np.random.default_rng(num_tasks)
    # Of more than one piece, and of a rest.
    shape = (num_tasks, 6, 5, 37, 40)
    arrays = [generator.normal(size=shape) for _ in range(2)]
    left_order, right_order = (3, 2, 0, 1), (3, 2, 0, 1)
    if orders == "different":
        right_order = (0, 1, 2, 3)
    jacobians = []
    for array, order in zip(arrays, (left_order, right_order), strict=True):
        stack = stacks_of(array, order)
        assert stack.is_contiguous() == (order == (0, 1, 2, 3))
        jacobians.append(
            Jacobian(rows=[[stack[k]] for k in range(num_tasks)])
            if as_rows
            else Jacobian(stacks=[stack])
        )
    left, right = jacobians
    flat, other = (array.reshape(num_tasks, -1) for array in arrays)

    def near(actual, expected):
        toy.assert_near(
            [ops.convert_to_numpy(actual)], [expected], rtol=1e-9, atol=1e-9
        )

    near(left.gramian(), flat @ flat.T)
    near(left.cross_gramian(right), flat @ other.T)
    near(left.row_products(right), np.sum(flat * other, axis=1))
    near(left.squared_norms(), np.sum(flat * flat, axis=1))
    weights = generator.normal(size=num_tasks)
    (combined,) = left.combine(ops.convert_to_tensor(weights))
    near(combined, np.tensordot(weights, arrays[0], 1))
    difference = left.minus(right)
    near(difference.stacks[0], arrays[0] - arrays[1])
    assert bool(backend.all_finite([combined]))


STEPS = """
import resource
import numpy as np
import keras
import keras_mtl

inputs = keras.Input((1, 36, 36))
x = keras.layers.Conv2D(
    10, 9, activation="relu", data_format="channels_first"
)(inputs)
x = keras.layers.MaxPooling2D(4, data_format="channels_first")(x)
x = keras.layers.Flatten()(x)
model = keras_mtl.MultiTaskModel(
    inputs, {task: keras.layers.Dense(1)(x) for task in "ab"}
)
model.compile("sgd", dict.fromkeys("ab", "mse"), strategy="mgda")
batch = np.ones((256, 1, 36, 36), "float32")
y = dict.fromkeys("ab", np.ones((256, 1), "float32"))
faults = []
for _ in range(12):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    model.train_on_batch(batch, y)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sorted(faults)[6])
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="other libraries' own affair"
)
def test_passes_do_not_get_their_memory_anew():
    faults = subprocess.run(
        [sys.executable, "-c", STEPS],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    # 256 images of ten channels have 8 MiB, which are 2000 pages.
    assert int(faults) < 200


@pytest.mark.parametrize(
    "name, calls", [("MALLOC_TRIM_THRESHOLD_", 0), ("ELSEWHERE", 2)]
)
def test_what_the_user_said_of_memory_stays(name, calls, monkeypatch):
    from keras_mtl.backend import torch_trainer

    said = []
    glibc = types.SimpleNamespace(mallopt=lambda *given: said.append(given))
    monkeypatch.setattr(torch_trainer.ctypes, "CDLL", lambda _: glibc)
    monkeypatch.setattr(
        torch_trainer.platform, "libc_ver", lambda: ("glibc", "2.36")
    )
    for variable in ("GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, "1")
    torch_trainer._keep_freed_memory.__wrapped__()
    assert len(said) == calls
