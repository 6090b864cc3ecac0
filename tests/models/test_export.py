"""What is exported is the network, as Keras exports it, and nothing else."""

import keras
import numpy as np
import pytest

import keras_mtl
from keras_mtl.models import dense_prediction_model
from tests.backend_tools import BACKEND
from tests.backend_tools import numpy
from tests.models import backbones

# Keras converts with arguments that JAX will not have for ever.
pytestmark = pytest.mark.filterwarnings(
    "ignore:The `native_serialization` parameter:DeprecationWarning"
)

LOSSES = {"b": "mse", "a": "mse"}
FORMAT = "torch" if BACKEND == "torch" else "tf_saved_model"

rng = np.random.default_rng(0)
X = rng.normal(size=(8, 4)).astype("float32")
Y = {"b": X[:, :2], "a": X[:, :1]}


@pytest.fixture
def artefact(tmp_path):
    return tmp_path / ("model.pt2" if BACKEND == "torch" else "model")


def served(path, x):
    """Runs what was exported, without Keras."""
    if BACKEND == "torch":
        import torch

        function = torch.export.load(path).module()
        outputs = function(keras.tree.map_structure(torch.tensor, x))
        return {task: y.detach().numpy() for task, y in outputs.items()}
    import tensorflow as tf

    artefact = tf.saved_model.load(path)
    outputs = artefact.serve(keras.tree.map_structure(tf.constant, x))
    return {task: y.numpy() for task, y in outputs.items()}


def num_arrays(path):
    """How many arrays an artefact has."""
    if BACKEND == "torch":
        import torch

        return len(torch.export.load(path).state_dict)
    import tensorflow as tf

    return len(tf.train.list_variables(str(path / "variables" / "variables")))


def assert_served(model, path, x):
    """An artefact gives what `predict` gives, by the same names."""
    # Artefacts of torch are for one example.
    x = keras.tree.map_structure(lambda array: array[:1], x)
    expected = model.predict(x, verbose=0)
    outputs = served(path, x)
    assert set(outputs) == set(expected)
    for task, values in expected.items():
        np.testing.assert_allclose(outputs[task], values, atol=1e-5)


def dense(units, **arguments):
    return keras.layers.Dense(units, **arguments)


def functional():
    inputs = keras.Input((4,))
    features = keras.layers.Dropout(0.5)(
        keras.layers.BatchNormalization()(dense(4)(inputs))
    )
    return keras_mtl.MultiTaskModel(
        inputs, {"b": dense(2)(features), "a": dense(1)(features)}
    )


def two_inputs():
    inputs = {
        "x": keras.Input((4,), name="x"),
        "kind": keras.Input((), dtype="int32", name="kind"),
    }
    features = dense(4)(inputs["x"])
    features += keras.layers.Embedding(3, 4)(inputs["kind"])
    return keras_mtl.MultiTaskModel(
        inputs, {"b": dense(2)(features), "a": dense(1)(features)}
    )


def experts():
    inputs = keras.Input((4,))
    features = keras_mtl.layers.MMoE(
        ["b", "a"], dense(4), 4, gate=keras_mtl.layers.DSelectK(k=2)
    )(inputs)
    return keras_mtl.MultiTaskModel(
        inputs, {"b": dense(2)(features["b"]), "a": dense(1)(features["a"])}
    )


def heads(**arguments):
    return keras_mtl.MultiTaskModel(
        trunk=dense(4), heads={"b": dense(2), "a": dense(1)}, **arguments
    )


def own_inputs():
    return heads(task_inputs=True)


def built_trunk():
    trunk = keras.Sequential([keras.Input((4,)), dense(4)])
    return keras_mtl.MultiTaskModel(
        trunk=trunk, heads={"b": dense(2), "a": dense(1)}
    )


@keras.saving.register_keras_serializable("tests.models.test_export")
class Subclass(keras_mtl.MultiTaskModel):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.trunk, self.b, self.a = dense(4), dense(2), dense(1)

    def call(self, inputs, training=None):
        features = self.trunk(inputs)
        return {"b": self.b(features), "a": self.a(features)}


TWO = {"x": X, "kind": np.arange(8, dtype="int32") % 3}
OWN = {"b": X, "a": X + 1}


@pytest.mark.parametrize(
    ("make", "x"),
    [(functional, X), (two_inputs, TWO), (experts, X), (built_trunk, X)],
)
def test_a_fresh_model(make, x, artefact):
    model = make()
    model.export(artefact, format=FORMAT, verbose=False)
    assert_served(model, artefact, x)


@pytest.mark.parametrize(
    ("make", "x"), [(heads, X), (own_inputs, OWN), (Subclass, X)]
)
def test_a_model_that_was_called_and_one_that_was_loaded(
    make, x, artefact, tmp_path
):
    model = make()
    with pytest.raises(ValueError, match="inputs of this model are not known"):
        model.export(artefact, format=FORMAT, verbose=False)
    model(keras.tree.map_structure(lambda a: a.astype("float64"), x))
    model.export(artefact, format=FORMAT, verbose=False)
    assert_served(model, artefact, x)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    again = artefact.with_name(f"again{artefact.suffix}")
    loaded.export(again, format=FORMAT, verbose=False)
    assert_served(model, again, x)


def test_a_signature_is_enough(artefact):
    model = heads()
    signature = [keras.InputSpec(shape=(None, 4), dtype="float32")]
    model.export(
        artefact, format=FORMAT, verbose=False, input_signature=signature
    )
    assert_served(model, artefact, X)


# Many operations, each traced one by one.
@pytest.mark.slow_on("torch")
def test_dense_prediction(artefact):
    model = dense_prediction_model(
        backbones.convolutions(), {"b": 2, "a": 1}, filters=4, rates=(1,)
    )
    images = rng.normal(size=(1, 32, 32, 3)).astype("float32")
    model.export(artefact, format=FORMAT, verbose=False)
    assert_served(model, artefact, images)


@pytest.mark.parametrize("strategy", ["moco", "fs_mtl"])
def test_training_goes_on_as_if_nothing_had_been(strategy, artefact):
    """Exported between two epochs, and in one, by a callback."""

    class Export(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 0:
                self.model.export(artefact, format=FORMAT, verbose=False)

    def trained(callbacks):
        keras.utils.set_random_seed(0)
        model = functional()
        model.compile("adam", LOSSES, strategy=strategy)
        model.fit(X, Y, batch_size=4, verbose=0, callbacks=callbacks)
        function, variables = model.train_function, model.variables
        expected = model(X[:1])
        if callbacks:
            model.export(artefact, format=FORMAT, verbose=False)
        assert model.train_function is function
        assert [v.path for v in model.variables] == [v.path for v in variables]
        model.fit(X, Y, batch_size=4, verbose=0)
        variables = [*model.variables, *model.optimizer.variables]
        return [numpy(v) for v in variables], expected

    functional().network.export(artefact, format=FORMAT, verbose=False)
    arrays_of_network = num_arrays(artefact)
    ours, outputs = trained([Export()])
    assert num_arrays(artefact) == arrays_of_network
    exported = served(artefact, X[:1])
    for task, values in outputs.items():
        np.testing.assert_allclose(exported[task], numpy(values), atol=1e-5)
    for one, other in zip(ours, trained([])[0], strict=True):
        np.testing.assert_array_equal(one, other)
