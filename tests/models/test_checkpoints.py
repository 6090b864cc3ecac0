"""Files are whole or as before, and loading does all or nothing."""

import io
import os
import signal
import stat
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

import keras_mtl
from keras_mtl import aggregators
from keras_mtl import atomic_files
from keras_mtl.atomic_files import replaced_at_once
from keras_mtl.models.checkpoint_record import CheckpointRecord
from keras_mtl.models.checkpoint_record import read_setup

# What Keras says of layers that a file does not have.
IGNORED = pytest.mark.filterwarnings("ignore:Skipping nested container")


def make(strategy="db_mtl", names=("left", "right"), widths=(1, 1), seed=0):
    """Returns a compiled model whose state is random, all of it."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    features = keras.layers.Dense(6, name="trunk")(inputs)
    features = keras.layers.Dropout(0.5, seed=1)(features)
    outputs = {
        name: keras.layers.Dense(width)(features)
        for name, width in zip(names, widths, strict=True)
    }
    model = keras_mtl.MultiTaskModel(inputs, outputs)
    model.compile("adam", dict.fromkeys(names, "mse"), strategy=strategy)
    model.optimizer.build(model.network_variables(True))
    generator = np.random.default_rng(seed)
    for variable in variables(model):
        values = generator.integers(1, 100, variable.shape)
        variable.assign(values.astype(variable.dtype))
    return model


def variables(model):
    """All but what counts the steps of this process."""
    every = [
        *model.weights,
        *model.variables,
        *model.optimizer.variables,
    ]
    unique = {id(variable): variable for variable in every}.values()
    return [it for it in unique if not it.path.startswith("step_monitor")]


def arrays(variables):
    return [keras.ops.convert_to_numpy(it.value) for it in variables]


def state(model):
    """Values of the weights, then of all other variables."""
    return arrays(variables(model))


def assert_equal(actual, expected):
    for value, wanted in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(value, wanted)


@pytest.fixture(scope="module", params=["model.keras", "model.weights.h5"])
def saved(request, tmp_path_factory):
    """A file of a model, its content, and the state of the model."""
    path = tmp_path_factory.mktemp("saved") / request.param
    model = make(seed=1)
    save(model, path)
    return path, path.read_bytes(), state(model)


def save(model, path):
    model.save(path) if path.suffix == ".keras" else model.save_weights(path)


def test_a_file_brings_everything(saved):
    path, _, expected = saved
    model = make(seed=2)
    assert not np.array_equal(state(model)[0], expected[0])
    model.load_weights(path)
    assert_equal(state(model), expected)


@pytest.mark.parametrize("part", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_half_a_file_is_refused(saved, tmp_path, part):
    path, content, _ = saved
    half = tmp_path / path.name
    half.write_bytes(content[: int(part * len(content))])
    model = make(seed=2)
    before = state(model)
    # `BadZipFile` is no `OSError`.
    with pytest.raises(Exception, match="zip|truncated|signature"):
        model.load_weights(half)
    assert_equal(state(model), before)
    if path.suffix == ".keras":
        with pytest.raises(ValueError, match="accessible `.keras` zip file"):
            keras.saving.load_model(half)


def test_check_sums_tell_of_a_changed_byte(tmp_path):
    path = tmp_path / "model.keras"
    model = make(seed=1)
    model.save(path)
    content = bytearray(path.read_bytes())
    place = content.index(model.get_weights()[0].tobytes())
    content[place] ^= 1
    path.write_bytes(content)
    other = make(seed=2)
    before = state(other)
    loads = [other.load_weights]
    if sys.version_info < (3, 13):
        # Later ones do not look when they jump within an archive.
        loads.append(keras.saving.load_model)
    for load in loads:
        with pytest.raises(zipfile.BadZipFile, match="Bad CRC-32"):
            load(path)
    assert_equal(state(other), before)


@IGNORED
@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_loading_that_fails_late_changes_nothing(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    saved = make("fs_mtl", seed=1)
    saved.strategy.flatness.rho = 0.3
    saved.checkpoint_record.finished_epochs = 7
    save(saved, path)
    model = make("fs_mtl", widths=(1, 3), seed=2)
    model.strategy.flatness.rho = 0.1
    model.checkpoint_record.finished_epochs = 2
    before = state(model)
    with pytest.raises(ValueError, match="could not be loaded"):
        model.load_weights(path)
    assert_equal(state(model), before)
    # Not what is left of it in float32.
    assert model.strategy.flatness.rho == 0.1
    assert model.checkpoint_record.finished_epochs == 2


@IGNORED
@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"strategy": "famo"},
            r"has the strategy DBMTL\(Log, DBMTL\) and 2 tasks \('left', "
            r"'right'\)\. The model has the strategy Strategy\(FAMO, Sum\)",
        ),
        (
            {"strategy": aggregators.CRMOGM(aggregators.MGDA())},
            r"The model has the strategy Strategy\(Equal, CRMOGM\(MGDA\)\)",
        ),
        (
            {"names": ("left", "depth")},
            r"The model has .* and 2 tasks \('left', 'depth'\)",
        ),
        (
            {"names": ("left", "right", "depth"), "widths": (1, 1, 1)},
            r"The model has .* and 3 tasks \('left', 'right', 'depth'\)",
        ),
    ],
)
def test_another_training_is_refused_by_name(saved, changes, text):
    path, _, _ = saved
    model = make(seed=2, **changes)
    before = state(model)
    with pytest.raises(ValueError, match=text) as error:
        model.load_weights(path)
    assert str(path) in str(error.value)
    assert "weights_only=True" in str(error.value)
    assert_equal(state(model), before)
    # Keras's own function says it, too, if nothing else is wrong.
    if "names" in changes and len(changes["names"]) > 2:
        text = "could not be loaded"
    with pytest.raises(ValueError, match=text):
        keras.saving.load_weights(model, path)


def with_frozen(frozen, strategy):
    """Returns a trained model of three layers, one of which is frozen."""
    keras.utils.set_random_seed(0)
    inputs = features = keras.Input((4,))
    for number in range(3):
        layer = keras.layers.Dense(4, name=f"layer_{number}")
        layer.trainable = number != frozen
        features = layer(features)
    model = keras_mtl.MultiTaskModel(
        inputs, {name: keras.layers.Dense(1)(features) for name in "ab"}
    )
    model.compile(keras.optimizers.SGD(0.1), "mse", strategy=strategy)
    x = np.ones((4, 4), "float32")
    model.fit(x, {"a": x[:, :1], "b": -x[:, :1]}, verbose=0)
    return model


FOR_VARIABLES = {
    "average": {"aggregator": "moco"},
    "velocity": {"flatness": keras_mtl.flatness.MomentumSAM()},
    "sums": {"accumulate": 2},
    "seeds": {"aggregator": "pcgrad", "granularity": "layer"},
}


@pytest.mark.parametrize("says", [True, False])
@pytest.mark.parametrize("name", FOR_VARIABLES)
def test_state_for_other_variables_is_refused(
    name, says, tmp_path, monkeypatch
):
    """Also of files that do not say which variables their state is for."""

    def make(frozen):
        config = keras_mtl.Strategy(**FOR_VARIABLES[name]).get_config()
        return with_frozen(frozen, keras_mtl.Strategy.from_config(config))

    # Of the same shapes, if the file tells them apart.
    saved, model = make(0), make(1 if says else None)
    if not says:
        monkeypatch.setattr(CheckpointRecord, "_places", lambda self: None)
    paths = [tmp_path / "model.weights.h5", tmp_path / "model.weights.json"]
    saved.save_weights(paths[0])
    saved.save_weights(paths[1], max_shard_size=1e-4)
    saved.save(tmp_path / "model.keras")
    before, text = state(model), "for other variables: for layer_1/kernel"
    if not says:
        text = "random numbers" if name == "seeds" else "does not fit"
    for path in (*paths, tmp_path / "model.keras"):
        with pytest.raises(ValueError, match=text):
            model.load_weights(path)
        assert_equal(state(model), before)
    # Keras's own function says it, too.
    with pytest.raises(ValueError, match="could not be loaded"):
        keras.saving.load_weights(model, paths[0])
    # Where everything fits, everything is loaded.
    other = make(0)
    other.load_weights(paths[1])
    assert_equal(state(other), state(saved))


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_what_does_not_fit_is_left_out_as_a_whole(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    saved = with_frozen(0, "db_mtl")
    save(saved, path)
    model = with_frozen(None, "db_mtl")
    before = arrays(model.strategy.variables)
    with pytest.warns(UserWarning, match="for other variables"):
        model.load_weights(path, skip_mismatch=True)
    assert_equal(model.get_weights(), saved.get_weights())
    assert_equal(arrays(model.strategy.variables), before)


@pytest.mark.parametrize("strategy", ["famo", "nash_mtl"])
def test_state_of_tasks_fits_other_variables(tmp_path, strategy):
    path = tmp_path / "model.weights.h5"
    saved, model = with_frozen(0, strategy), with_frozen(None, strategy)
    saved.save_weights(path)
    model.load_weights(path)
    assert_equal(
        arrays(model.strategy.variables), arrays(saved.strategy.variables)
    )


def test_what_was_refused_can_be_skipped(saved):
    path, _, expected = saved
    model = make("famo", seed=2)
    strategy = arrays(model.strategy.variables)
    with pytest.warns(UserWarning, match="is of another training"):
        model.load_weights(path, skip_mismatch=True)
    assert_equal(arrays(model.strategy.variables), strategy)
    weights = len(model.get_weights())
    assert_equal(model.get_weights(), expected[:weights])


def test_weights_only(saved):
    path, _, expected = saved
    model = make("famo", seed=2)
    before = state(model)
    weights = len(model.get_weights())
    if path.suffix == ".keras":
        with pytest.raises(ValueError, match="compile=False"):
            model.load_weights(path, weights_only=True)
        loaded = keras.saving.load_model(path, compile=False)
        assert_equal(loaded.get_weights(), expected[:weights])
        return
    model.load_weights(path, weights_only=True)
    assert_equal(model.get_weights(), expected[:weights])
    assert_equal(state(model)[weights:], before[weights:])


@pytest.mark.parametrize("strategy", [None, "db_mtl"])
def test_without_a_strategy_there_is_no_state_to_mix_up(tmp_path, strategy):
    """Plain training may follow on a strategy, and the other way round."""
    path = tmp_path / "model.weights.h5"
    first = make(strategy, seed=1)
    first.save_weights(path)
    second = make("db_mtl" if strategy is None else None, seed=2)
    for load in (
        second.load_weights,
        lambda path: keras.saving.load_weights(second, path),
    ):
        second.set_weights([weight + 1 for weight in first.get_weights()])
        before = [] if second.strategy is None else second.strategy.variables
        before = arrays(before)
        load(path)
        assert_equal(second.get_weights(), first.get_weights())
        if second.strategy is not None:
            assert_equal(arrays(second.strategy.variables), before)


def test_no_file_is_replaced_by_half_a_file(saved, tmp_path, monkeypatch):
    path, content, _ = saved
    copied = tmp_path / path.name
    copied.write_bytes(content)

    def failing(record, store):
        raise KeyboardInterrupt

    monkeypatch.setattr(CheckpointRecord, "save_own_variables", failing)
    with pytest.raises(KeyboardInterrupt):
        save(make(seed=2), copied)
    assert copied.read_bytes() == content
    assert list(tmp_path.iterdir()) == [copied]


KILLED_WHILE_IT_SAVES = """
import os, pathlib, runpy, signal, sys
# Without Keras, which takes long to import.
names = runpy.run_path(sys.argv[2])
with names["replaced_at_once"](pathlib.Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_killed_processes_have_left_is_removed(tmp_path):
    path = tmp_path / "model.weights.h5"
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            KILLED_WHILE_IT_SAVES,
            path,
            atomic_files.__file__,
        ],
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".model.weights.h5.")
    assert left.name.endswith(".tmp")
    elsewhere = tmp_path / ".model.weights.h5.elsewhere.abc.tmp"
    elsewhere.mkdir()
    # This process is one that still writes, and the same process number may
    # be that of another container.
    with replaced_at_once(path) as temporary:
        make().save_weights(path)
        assert not left.exists()
        content = path.read_bytes()
        temporary.write_text("later")
        assert path.read_bytes() == content
    assert path.read_text() == "later"
    assert set(tmp_path.iterdir()) == {path, elsewhere}


def test_a_file_keeps_its_permissions(tmp_path):
    model = make()
    path, link = tmp_path / "model.keras", tmp_path / "link.keras"
    before = os.umask(0o027)
    try:
        model.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        os.umask(0o022)
        link.symlink_to(path)
        for mode in (0o600, 0o606):
            path.chmod(mode)
            for name in (path, link):
                model.save(name)
                assert stat.S_IMODE(path.stat().st_mode) == mode
        assert link.is_symlink()
        # As long a name as Keras can save to.
        model.save(tmp_path / f"{'é' * 124}.keras")
    finally:
        os.umask(before)


def test_other_ways_to_save_are_left_to_keras(tmp_path, monkeypatch):
    model = make(seed=1)
    file = io.BytesIO()
    keras.saving.save_model(model, tmp_path / "function.keras")
    model.save(tmp_path / "folder", zipped=False)
    model.save_weights(tmp_path / "model.weights.json", max_shard_size=0.1)
    other = make(seed=2)
    other.load_weights(tmp_path / "model.weights.json")
    assert_equal(state(other), state(model))
    asked = []
    monkeypatch.setattr(
        "builtins.input", lambda text: asked.append(text) or "n"
    )
    with pytest.raises(ValueError, match="extension"):
        model.save(tmp_path / "model.other")
    path = tmp_path / "model.keras"
    path.write_text("old")
    model.save(path, overwrite=False)
    assert asked and path.read_text() == "old"
    assert file.getvalue() == b""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no JSON",
        b"[]",
        b'{"tasks": ["a"]}',
        b'{"tasks": [1], "strategy": null}',
        b'{"tasks": ["a"], "strategy": 3}',
        b'{"tasks": ["a"], "strategy": "b", "variables": ["c"]}',
        b'{"tasks": ["a"], "strategy": "b", "variables": 3}',
        b"[" * 100_000,
        b" " * (2**20 + 1),
    ],
)
def test_a_record_that_was_tampered_with(content):
    store = {"setup": np.frombuffer(content, "uint8")}
    with pytest.raises(ValueError, match="does not say in a form"):
        read_setup(store)


def test_a_file_of_torch_can_be_saved_elsewhere(tmp_path):
    """Unseeded dropout of torch leaves a state that other backends lack."""
    model = make()
    model.random_state.draws_globally = True
    model.save_weights(tmp_path / "model.weights.h5")
    make(seed=2).load_weights(tmp_path / "model.weights.h5")
