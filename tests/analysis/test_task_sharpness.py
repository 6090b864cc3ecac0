"""Sharpness against dense Hessians and formulas in NumPy."""

import keras
import numpy as np
import pytest

import keras_mtl
from keras_mtl.analysis import task_sharpness
from tests.analysis import dense
from tests.training import toy

RADII = (0.0, 0.05, 0.3)


def measured(model, x, y, variables="all", **kwargs):
    return task_sharpness(
        model,
        (x, y),
        rho=RADII,
        adaptive_rho=0.5,
        variables=variables,
        **kwargs,
    )


def expected(model, task, x, y, variables="all"):
    """Loss, gaps, adaptive gap and eigenvalues, from the papers' formulas."""
    start, loss = dense.flat_weights(model, task, variables)

    def at(vector):
        return loss(vector, x.astype("float64"), y)

    slope = dense.gradient(at, start)
    gaps = [
        at(start + rho * slope / np.linalg.norm(slope)) - at(start)
        for rho in RADII
    ]
    scaled = np.abs(start) * slope
    step = 0.5 * np.square(start) * slope / np.linalg.norm(scaled)
    eigenvalues = np.linalg.eigvalsh(dense.hessian(at, start))
    return at(start), gaps, at(start + step) - at(start), eigenvalues


@pytest.mark.parametrize("variables", ["all", "shared"])
def test_is_what_a_dense_hessian_and_the_formulas_give(variables):
    model = dense.make_model()
    x, y = dense.data()
    # Three batches of two shapes.
    sharpness = measured(model, x, y, variables, batch_size=4)
    assert sharpness.tasks == dense.TASKS
    assert np.all(sharpness.residuals <= 1e-3)
    for k, task in enumerate(dense.TASKS):
        loss, gaps, adaptive_gap, eigenvalues = expected(
            model, task, x, y, variables
        )
        np.testing.assert_allclose(
            sharpness.eigenvalues[k], eigenvalues[-1], rtol=1e-3
        )
        np.testing.assert_allclose(sharpness.losses[k], loss, rtol=1e-5)
        # Differences of float32 losses of this size.
        atol = 1e-6 * (1 + loss)
        np.testing.assert_allclose(
            sharpness.gaps[k], gaps, rtol=1e-4, atol=atol
        )
        np.testing.assert_allclose(
            sharpness.adaptive_gaps[k], [adaptive_gap], rtol=1e-4, atol=atol
        )
        # A gap of more than nothing, that grows.
        assert 0 == gaps[0] < gaps[1] < gaps[2]


def test_the_largest_eigenvalue_is_not_that_of_the_largest_size():
    model = dense.make_model()
    x, y = dense.data()
    # Labels far away, on the other side: where tanh bends, the loss does.
    outputs = model.predict(x, verbose=0)
    y = {task: -30.0 * outputs[task] for task in y}
    sharpness = measured(model, x, y, "shared", batch_size=10, iterations=1000)
    negative = 0
    for k, task in enumerate(dense.TASKS):
        eigenvalues = expected(model, task, x, y, "shared")[-1]
        negative += eigenvalues[0] < -1.1 * eigenvalues[-1] < 0
        np.testing.assert_allclose(
            sharpness.eigenvalues[k], eigenvalues[-1], rtol=1e-3
        )
    assert negative


def test_losses_are_those_of_evaluate():
    model = toy.compiled(toy.make_model(batch_norm=True), "ew")
    x, y = toy.data()
    toy.fit(model)
    sharpness = task_sharpness(
        model, (x, y), batch_size=10, adaptive_rho=None, iterations=0
    )
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    np.testing.assert_allclose(
        sharpness.losses, [logs["left_loss"], logs["right_loss"]], rtol=1e-6
    )
    assert sharpness.adaptive_gaps.shape == (2, 0)
    assert sharpness.eigenvalues is None and sharpness.residuals is None


def test_batches_do_not_matter_in_inference_but_in_training_mode():
    model = dense.make_model(batch_norm=True)
    x, y = dense.data(12)
    options = {"adaptive_rho": None, "iterations": 0}

    def gaps(training, batch_size):
        return task_sharpness(
            model, (x, y), None, batch_size, training=training, **options
        ).gaps

    np.testing.assert_allclose(gaps(False, 12), gaps(False, 4), rtol=1e-4)
    assert np.all(np.abs(gaps(True, 12) - gaps(True, 4)) > 1e-3)
    assert np.all(np.abs(gaps(True, 12) - gaps(False, 12)) > 1e-3)


def test_samples_that_do_not_count():
    model = dense.make_model(strategy="ew")
    x, y = dense.data()
    weights = {"a": np.arange(10.0) < 4, "b": np.arange(10.0) >= 10}
    weights = {task: w.astype("float32") for task, w in weights.items()}
    options = {"adaptive_rho": None, "iterations": 50}
    # The first batch has all samples of `a` that count, and none of `b` does.
    sharpness = task_sharpness(model, (x, y, weights), None, 4, **options)
    first = task_sharpness(
        model, (x[:4], {k: v[:4] for k, v in y.items()}), None, 4, **options
    )
    for found, alone in (
        (sharpness.losses, first.losses),
        (sharpness.gaps, first.gaps),
        (sharpness.eigenvalues, first.eigenvalues),
    ):
        np.testing.assert_allclose(found[0], alone[0], rtol=1e-4)
        assert np.all(np.isnan(found[1]))


@pytest.mark.parametrize("kind", ["list", "pydataset", "tensors"])
def test_data_may_be_batches(kind):
    model = dense.make_model()
    x, y = dense.data()
    batches = [
        (x[i : i + 4], {task: label[i : i + 4] for task, label in y.items()})
        for i in (0, 4, 8)
    ]
    given = batches
    if kind == "pydataset":
        given = Dataset(batches)
    elif kind == "tensors":
        given = (
            keras.tree.map_structure(keras.ops.convert_to_tensor, batch)
            for batch in batches
        )
    options = {"iterations": 0, "adaptive_rho": None}
    found = task_sharpness(model, given, num_batches=2, **options)
    expected = task_sharpness(
        model, (x[:8], {k: v[:8] for k, v in y.items()}), None, 4, **options
    )
    np.testing.assert_array_equal(found.gaps, expected.gaps)


class Dataset(keras.utils.PyDataset):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "`data` must be a tuple `\\(x, y\\)`.*type NoneType"),
        ((np.ones(3),), "`\\(x, y, sample_weight\\)`. Received.*length 1"),
        ([np.ones(3)], "must hold batches .* one of type ndarray and length 3"),
        ((np.ones(3), np.ones(4)), "same number of samples. Received: \\[3, 4"),
        (iter([]), "`data` has no batches"),
    ],
)
def test_refuses_data(data, message):
    with pytest.raises(ValueError, match=message):
        task_sharpness(dense.make_model(), data)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_batches": 0}, "`num_batches` must be an integer, at least 1"),
        ({"batch_size": 0}, "`batch_size` must be an integer, at least 1"),
        ({"rho": -1.0}, "`rho` must be a number in .0, inf. or several such"),
        ({"adaptive_rho": [0.1, "a"]}, "`adaptive_rho` must be a number"),
        ({"variables": "own"}, r"`variables` must be one of \('all', 'share"),
        ({"iterations": -1}, "`iterations` must be an integer, at least 0"),
        ({"tolerance": 1.0}, r"`tolerance` must be a number in \[0, 1\)"),
        ({"seed": -1}, "`seed` must be None or an integer from 0"),
    ],
)
def test_refuses_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        task_sharpness(dense.make_model(), dense.data(), **arguments)


def test_refuses_models_without_losses():
    model = dense.make_model()
    with pytest.raises(ValueError, match="Received: a Functional without such"):
        task_sharpness(model.network, dense.data())


def test_refuses_models_that_share_nothing():
    model = dense.make_model()
    model.get_layer("trunk").trainable = False
    with pytest.raises(ValueError, match='share no .*use `variables="all"`'):
        task_sharpness(model, dense.data(), variables="shared")


@pytest.mark.slow_on("jax", "tensorflow")
def test_attention_can_be_differentiated_twice():
    keras.utils.set_random_seed(3)
    words = keras.Input((5, 2))
    seen = keras.layers.MultiHeadAttention(1, 2)(words, words)
    seen = keras.layers.GlobalAveragePooling1D()(seen)
    model = keras_mtl.MultiTaskModel(
        words, {task: keras.layers.Dense(1)(seen) for task in "ab"}
    )
    model.compile("sgd", dict.fromkeys("ab", "mse"), strategy="ew")
    generator = np.random.default_rng(0)
    words = generator.normal(size=(8, 5, 2)).astype("float32")
    labels = {task: generator.normal(size=(8, 1)) for task in "ab"}
    sharpness = task_sharpness(model, (words, labels), rho=0.01)
    # What is missing to H v = eigenvalue v, with products of the Hessian.
    assert np.all(sharpness.residuals <= 1e-3)
