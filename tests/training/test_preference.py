"""`loss_weights` as the preference of an aggregator."""

import keras
import numpy as np
import pytest

import keras_mtl
from keras_mtl import aggregators
from keras_mtl.strategies import FSMTL
from training import toy

PREFERENCE = (3.0, 1.0)
LOSS_WEIGHTS = {"left": 3.0, "right": 1.0}


def fitted(strategy, loss_weights=None):
    model = toy.compiled(toy.make_model(), strategy, loss_weights=loss_weights)
    history = toy.fit(model, epochs=1)
    return model, history


def assert_same_weights(left, right):
    for a, b in zip(left.get_weights(), right.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "make",
    [
        aggregators.UPGrad,
        aggregators.DualProj,
        aggregators.AlignedMTL,
        aggregators.ConFIG,
        aggregators.CAGrad,
    ],
)
def test_it_is_the_preference_of_the_aggregator(make):
    by_compile, _ = fitted(
        keras_mtl.Strategy(aggregator=make(), loss_weights="preference"),
        LOSS_WEIGHTS,
    )
    by_argument, _ = fitted(
        keras_mtl.Strategy(aggregator=make(preference=PREFERENCE))
    )
    without, _ = fitted(keras_mtl.Strategy(aggregator=make()))
    assert_same_weights(by_compile, by_argument)
    assert any(
        np.abs(a - b).max() > 1e-4
        for a, b in zip(
            by_compile.get_weights(), without.get_weights(), strict=True
        )
    )


@pytest.mark.parametrize("granularity", ["model", "layer"])
def test_flat_parts_and_groups_have_it_too(granularity):
    by_compile, _ = fitted(
        FSMTL("upgrad", loss_weights="preference", granularity=granularity),
        LOSS_WEIGHTS,
    )
    by_argument, _ = fitted(
        FSMTL(
            aggregators.UPGrad(preference=PREFERENCE), granularity=granularity
        )
    )
    assert_same_weights(by_compile, by_argument)


def test_the_losses_stay_as_they_are():
    model, history = fitted(
        keras_mtl.Strategy(aggregator="upgrad", loss_weights="preference"),
        LOSS_WEIGHTS,
    )
    parts = [history[f"{task}_loss"][0] for task in model.tasks]
    assert history["loss"][0] == pytest.approx(sum(parts), rel=1e-5)
    # Factors again, with a strategy that does not say otherwise.
    history = toy.fit(model, epochs=1, strategy="upgrad")
    weighted = sum(
        weight * history[f"{task}_loss"][0]
        for task, weight in LOSS_WEIGHTS.items()
    )
    assert history["loss"][0] == pytest.approx(weighted, rel=1e-5)


def test_saved_models_go_on_with_it(tmp_path):
    model, _ = fitted(
        keras_mtl.Strategy(aggregator="upgrad", loss_weights="preference"),
        LOSS_WEIGHTS,
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    toy.fit(model, epochs=1)
    toy.fit(loaded, epochs=1)
    assert_same_weights(model, loaded)


def test_cagrad_with_a_radius_of_0_is_the_preferred_sum():
    rows = np.array([[1.0, 0.0, 2.0], [-3.0, 1.0, 0.5]], dtype="float32")
    update = aggregators.CAGrad(c=0, preference=(0.25, 2.0))(rows)
    expected = 0.25 * rows[0] + 2.0 * rows[1]
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(update), expected, rtol=1e-5
    )


def test_cagrad_is_optimal_for_a_preference():
    # The best of many directions in the ball around the preferred sum.
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(3, 2)).astype("float32")
    preference, c = np.array([0.7, 0.2, 0.4]), 0.6
    center = preference @ rows
    angles = np.linspace(0, 2 * np.pi, 200_001)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    ball = center + c * np.linalg.norm(center) * circle
    best = (ball @ rows.T).min(axis=1).max()
    update = keras.ops.convert_to_numpy(
        aggregators.CAGrad(c=c, rescale=0, preference=preference)(rows)
    )
    assert (rows @ update).min() == pytest.approx(best, rel=1e-4)
    length = np.linalg.norm(update - center)
    assert length <= c * np.linalg.norm(center) * (1 + 1e-5)


@pytest.mark.parametrize("aggregator", ["mgda", "sum", "preferring"])
def test_wrong_aggregators(aggregator):
    if aggregator == "preferring":
        aggregator = aggregators.UPGrad(preference=(1.0, 2.0))
    with pytest.raises(ValueError, match="one that takes a `preference`"):
        keras_mtl.Strategy(aggregator=aggregator, loss_weights="preference")


def test_wrong_arguments():
    with pytest.raises(ValueError, match="Received: loss_weights=both"):
        keras_mtl.Strategy(aggregator="upgrad", loss_weights="both")
    strategy = keras_mtl.Strategy(
        aggregator="upgrad", loss_weights="preference"
    )
    model = toy.make_model()
    with pytest.raises(ValueError, match="`loss_weights` must be one non-neg"):
        toy.compiled(model, strategy, loss_weights={"left": 0.0, "right": -1.0})
    assert model.strategy is None
