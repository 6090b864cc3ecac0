"""Training that is saved, loaded elsewhere and continued is the same."""

import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_mtl
from keras_mtl import strategies
from tests.training import state_child
from training import toy

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def continued(tmp_path_factory):
    """State after 20 steps, and after 10 and 10 in a new process."""
    folder = tmp_path_factory.mktemp("state")
    expected = {}
    for name, strategy in state_child.STRATEGIES.items():
        keras.utils.set_random_seed(3)
        model = state_child.make_model(strategy())
        state_child.train(model, 0)
        model.save(folder / f"{name}.keras")
        state_child.train(model, state_child.STEPS)
        expected[name] = state_child.state(model)
    subprocess.run(
        [sys.executable, "-m", "tests.training.state_child", str(folder)],
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return {
        name: (expected[name], np.load(folder / f"{name}.npz"))
        for name in expected
    }


@pytest.mark.parametrize("name", list(state_child.STRATEGIES))
def test_continues_in_a_new_process(continued, name):
    expected, actual = continued[name]
    assert list(expected) == list(actual.files)
    for key, value in expected.items():
        np.testing.assert_array_equal(actual[key], value, err_msg=key)


def test_the_strategy_has_state_to_lose():
    model = state_child.make_model(state_child.STRATEGIES["composed"]())
    before = state_child.state(model)
    state_child.train(model, 0)
    after = state_child.state(model)
    moved = {
        key.split(":")[1]
        for key in before
        if not np.array_equal(before[key], after[key])
    }
    assert {"kernel", "moving_mean", "iterations", "average_0"} <= moved
    assert "seed_generator_state" in moved


class Interruption(Exception):
    """Stands for a crash."""


class Crash(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise Interruption


class ByEpoch(keras.callbacks.Callback):
    """Tells the data which epoch it is."""

    def __init__(self, data):
        super().__init__()
        self.data = data

    def on_epoch_begin(self, epoch, logs=None):
        self.data.start = epoch * self.data.steps


@pytest.mark.parametrize("name", list(state_child.STRATEGIES))
def test_backup_and_restore(tmp_path, name):
    def fit(model, *more):
        data = state_child.Steps(0, 3)
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        callbacks = [ByEpoch(data), *more]
        if more or model is resumed:
            callbacks.append(backup)
        model.fit(data, epochs=4, verbose=0, callbacks=callbacks, shuffle=False)

    resumed = None
    keras.utils.set_random_seed(5)
    whole = state_child.make_model(state_child.STRATEGIES[name]())
    fit(whole)
    keras.utils.set_random_seed(5)
    crashed = state_child.make_model(state_child.STRATEGIES[name]())
    with pytest.raises(Interruption):
        fit(crashed, Crash(2))
    keras.utils.set_random_seed(6)
    resumed = state_child.make_model(state_child.STRATEGIES[name]())
    fit(resumed)
    expected = [value for value in state_child.state(whole).values()]
    actual = state_child.state(resumed)
    for (key, value), wanted in zip(actual.items(), expected, strict=True):
        np.testing.assert_array_equal(value, wanted, err_msg=key)


@pytest.mark.parametrize("said", [None, 1])
def test_a_backup_of_two_epochs_is_refused(tmp_path, said):
    """Keras writes the weights first: the epoch may be that of before."""
    data = state_child.Steps(0, 1)

    def fit(*more):
        keras.utils.set_random_seed(5)
        model = state_child.make_model("famo")
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        model.fit(data, epochs=3, verbose=0, callbacks=[*more, backup])

    with pytest.raises(Interruption):
        fit(Crash(2))
    metadata = tmp_path / "backup" / "training_metadata.json"
    assert json.loads(metadata.read_text())["epoch"] == 2
    metadata.unlink()
    if said is not None:
        metadata.write_text(json.dumps({"epoch": said, "batch": 0}))
    with pytest.raises(ValueError, match="the weights of 2 finished") as error:
        fit()
    # What the message says mends it.
    metadata.write_text(re.search("{.*}", str(error.value)).group())
    fit()


class Rollback(keras.callbacks.Callback):
    """Goes back to the weights of the first epoch after the third."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            self.model.save_weights(self.path)
        if epoch == 2:
            self.model.load_weights(self.path)


@pytest.mark.parametrize("first", [True, False])
def test_earlier_weights_are_no_torn_backup(tmp_path, first):
    model = toy.compiled(toy.make_model(), "ew")
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    rollback = Rollback(tmp_path / "earlier.weights.h5")
    callbacks = [rollback, backup] if first else [backup, rollback]
    with pytest.raises(Interruption):
        model.fit(
            *toy.data(), epochs=5, verbose=0, callbacks=[callbacks, Crash(4)]
        )
    # The backup is that of the fourth epoch, whatever was loaded before it.
    history = model.fit(*toy.data(), epochs=5, verbose=0, callbacks=callbacks)
    assert history.epoch == [4]
    assert model.checkpoint_record.finished_epochs == 5


def test_files_say_how_many_epochs_are_over(tmp_path):
    path = tmp_path / "model.weights.h5"
    model = toy.compiled(toy.make_model(), "ew")
    model.fit(*toy.data(), epochs=2, verbose=0)
    toy.compiled(model, None)
    with pytest.raises(Interruption):
        model.fit(
            *toy.data(),
            initial_epoch=3,
            epochs=9,
            verbose=0,
            callbacks=[Crash(5)],
        )
    model.save_weights(path)
    other = toy.compiled(toy.make_model(), None)
    other.load_weights(path)
    assert other.checkpoint_record.finished_epochs == 5


def test_saved_and_loaded_within_an_epoch(tmp_path):
    """Also by who has the model from elsewhere than the callback."""
    x, y = toy.data()
    path = tmp_path / "model.weights.h5"
    model = toy.compiled(toy.make_model(), "db_mtl")

    class Restart(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 0:
                model.save_weights(path)
            if batch == 1:
                model.load_weights(path)

    def fit(model, rows, **kwargs):
        labels = {task: label[rows] for task, label in y.items()}
        kwargs = {"batch_size": 8, "shuffle": False, "verbose": 0, **kwargs}
        model.fit(x[rows], labels, **kwargs)

    fit(model, np.arange(24), callbacks=[Restart()])
    expected = toy.compiled(toy.make_model(), "db_mtl")
    fit(expected, np.r_[0:8, 16:24])
    toy.assert_same(toy.snapshot(model), toy.snapshot(expected))


def test_weights_load_into_a_plain_model(tmp_path):
    model = state_child.make_model("db_mtl")
    state_child.train(model, 0)
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    plain = state_child.make_network(keras.Model)
    plain.load_weights(path)
    for a, b in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_load_from_a_plain_model(tmp_path):
    plain = state_child.make_network(keras.Model)
    path = tmp_path / "model.weights.h5"
    plain.save_weights(path)
    model = state_child.make_model("db_mtl")
    with warnings.catch_warnings():
        # Keras says that the file holds no state of the optimizer.
        warnings.simplefilter("ignore")
        model.load_weights(path)
    for a, b in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    state_child.train(model, 0)


@pytest.mark.parametrize("name", strategies.names())
def test_strategy_configs(name):
    strategy = strategies.get(name)
    revived = strategies.deserialize(strategies.serialize(strategy))
    assert type(revived) is type(strategy)
    assert revived.get_config() == strategy.get_config()
    copied = type(strategy).from_config(strategy.get_config())
    assert copied.get_config() == strategy.get_config()


def test_schedule_and_component_configs():
    strategy = strategies.FSMTL(
        keras_mtl.aggregators.CAGrad(c=0.2),
        rho=keras.optimizers.schedules.CosineDecay(0.1, 100),
        head_rho=0.2,
        variables="normalization",
        combine="each",
        balancer=keras_mtl.balancers.Fixed([1.0, 2.0, 3.0]),
        on_nonfinite="skip",
    )
    revived = strategies.deserialize(strategies.serialize(strategy))
    assert revived.get_config() == strategy.get_config()
    assert revived.aggregator.c == 0.2
    assert revived.balancer.task_weights == (1.0, 2.0, 3.0)
    assert revived.flatness.head_rho == 0.2


def test_loaded_model_keeps_strategy_and_settings(tmp_path):
    model = state_child.make_network()
    model.compile(
        "sgd",
        LOSS_WITH_AUXILIARY,
        loss_weights={"a": 2.0, "b": 0.5, "c": 1.0},
        metrics={"b": ["accuracy"]},
        strategy=strategies.FSMTL("mgda", rho=0.3),
        on_nonfinite="skip",
    )
    state_child.train(model, 0)
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.models.load_model(path)
    assert loaded.tasks == model.tasks == ["a", "b"]
    assert loaded.strategy.get_config() == model.strategy.get_config()
    x, y = state_child.batch(99)
    assert loaded.evaluate(x, y, verbose=0) == pytest.approx(
        model.evaluate(x, y, verbose=0)
    )


LOSS_WITH_AUXILIARY = {**state_child.LOSS, "c": None}


def test_load_without_compiling(tmp_path):
    model = state_child.make_model("db_mtl")
    state_child.train(model, 0)
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.models.load_model(path, compile=False)
    assert not loaded.compiled
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    x, _ = state_child.batch(0)
    assert loaded.predict(x, verbose=0)["a"].shape == (16, 1)


def test_clone_and_config():
    model = state_child.make_model("fs_mtl")
    for copied in (
        keras.models.clone_model(model),
        type(model).from_config(model.get_config()),
    ):
        assert type(copied) is type(model)
        assert copied.output_names == model.output_names
        assert copied.strategy is not model.strategy
        assert copied.strategy.get_config() == model.strategy.get_config()
        copied.compile("sgd", state_child.LOSS, strategy="fs_mtl")
        state_child.train(copied, 0)


def test_fit_replaces_the_strategy_and_keeps_the_rest():
    model = state_child.make_model("db_mtl")
    state_child.train(model, 0)
    first = model.strategy
    iterations = int(model.optimizer.iterations)
    model.fit(state_child.Steps(0, 2), verbose=0, strategy="db_mtl")
    assert model.strategy is first
    model.fit(state_child.Steps(0, 2), verbose=0, strategy="fs_mtl")
    assert isinstance(model.strategy, strategies.FSMTL)
    assert int(model.optimizer.iterations) == iterations + 4
    assert int(model.strategy.iterations) == 2
    model.fit(state_child.Steps(0, 2), verbose=0)
    assert int(model.strategy.iterations) == 4


def test_a_strategy_belongs_to_one_model():
    strategy = strategies.DBMTL()
    first = state_child.make_model(strategy)
    state_child.train(first, 0)
    second = state_child.make_model(strategy)
    assert first.strategy is strategy
    assert second.strategy is not strategy
    assert int(second.strategy.iterations) == 0


def test_each_model_goes_on_with_its_copy_of_a_strategy():
    strategy = strategies.DBMTL()
    models = [toy.compiled(toy.make_model(), None) for _ in range(2)]
    for epoch in range(1, 4):
        for model in models:
            model.fit(*toy.data(), batch_size=24, verbose=0, strategy=strategy)
            assert int(model.strategy.iterations) == epoch
    copied, step = model.strategy, model.train_function
    model.fit(*toy.data(), verbose=0, strategy=strategy)
    assert model.strategy is copied and model.train_function is step
    # Other shared variables: a copy again, which goes on from there.
    model.network.layers[1].trainable = False
    for epoch in range(1, 3):
        model.fit(*toy.data(), batch_size=24, verbose=0, strategy=strategy)
        assert int(model.strategy.iterations) == epoch
    # One that is new is new, whatever its number.
    for _ in range(3):
        model.fit(
            *toy.data(), batch_size=24, verbose=0, strategy=strategies.DBMTL()
        )
        assert int(model.strategy.iterations) == 1


@pytest.mark.parametrize("strategy", [None, "dwa"])
def test_a_callback_list_is_as_it_was(strategy):
    """Guards that stay tell a strategy of each epoch several times."""
    results = []
    for reuse in (False, True):
        model = toy.compiled(toy.make_model(), strategy)
        crash = Crash(1)
        reused = keras.callbacks.CallbackList([crash], model=model)
        for _ in range(3):
            if not reuse:
                reused = keras.callbacks.CallbackList([crash], model=model)
            with pytest.raises(Interruption):
                model.fit(
                    *toy.data(),
                    shuffle=False,
                    epochs=2,
                    verbose=0,
                    callbacks=reused,
                )
            assert reused.callbacks == [crash]
        results.append(toy.snapshot(model))
    toy.assert_same(*results)


def test_an_aggregator_belongs_to_one_model():
    aggregator = keras_mtl.aggregators.MoCo()
    first = state_child.make_model(aggregator)
    second = state_child.make_model(aggregator)
    assert first.strategy.aggregator is aggregator
    assert second.strategy.aggregator is not aggregator
    assert len(second.strategy.variables) == len(first.strategy.variables)


def test_model_counts_are_those_of_the_network():
    model = state_child.make_model("db_mtl")
    plain = state_child.make_network(keras.Model)
    assert model.count_params() == plain.count_params()
    assert len(model.weights) == len(plain.weights)
    assert len(model.trainable_variables) == len(plain.trainable_variables)


def test_the_state_of_a_scaled_optimizer_comes_back(tmp_path):
    def optimizer():
        inner = keras.optimizers.SGD(0.05, momentum=0.9)
        return keras.optimizers.LossScaleOptimizer(inner)

    model = toy.compiled(toy.make_model(), "ew", optimizer())
    toy.step(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    toy.assert_same(toy.snapshot(loaded), toy.snapshot(model))


@pytest.mark.parametrize("strategy", [None, "db_mtl"])
def test_a_fit_that_fails_brings_no_older_state_back(strategy):
    model = toy.compiled(toy.make_model(), strategy)
    x, y = toy.data()
    model.train_on_batch(x, y)
    # What Keras remembers on JAX is of that call.
    model.set_weights([weight + 1 for weight in model.get_weights()])
    toy.compiled(model, strategy, keras.optimizers.SGD(0.25))
    before = toy.arrays(model.weights)
    with pytest.raises(ValueError):
        model.fit(x, {**y, "left": np.ones((len(x), 2, 2))}, verbose=0)
    toy.assert_same(toy.arrays(model.weights), before)
    assert float(toy.arrays([model.optimizer.learning_rate])[0]) == 0.25
    toy.step(model)
