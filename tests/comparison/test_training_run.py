"""One run, and the steps by which backends are compared, in this process."""

import dataclasses
import html
import math

import keras
import numpy as np
import pytest

from keras_mtl.comparison import agreement
from keras_mtl.comparison.html_report import html_report
from keras_mtl.comparison.identity import data_identity
from keras_mtl.comparison.identity import model_identity
from keras_mtl.comparison.problem import load_data
from keras_mtl.comparison.problem import make_model
from keras_mtl.comparison.random_state import fresh_start
from keras_mtl.comparison.settings import Settings
from keras_mtl.comparison.summary import summarize
from keras_mtl.comparison.training_run import check_objective
from keras_mtl.comparison.training_run import mean_cosines
from keras_mtl.comparison.training_run import train
from tests.comparison.tiny_problem import HOSTILE_TASKS

BACKEND = keras.backend.backend()


def settings(**changes):
    given = {
        "model": "comparison_problem:build",
        "dataset": "comparison_problem:load_data",
        "epochs": 2,
        "batch_size": 8,
        **changes,
    }
    return Settings(backends=(BACKEND,), **given)


def run(given, strategy="pcgrad", seed=0):
    epochs = []
    data = load_data(given)
    identity = model_identity(make_model(given)) | data_identity(data)
    record = train(
        given,
        data,
        strategy,
        seed,
        lambda epoch, logs: epochs.append((epoch, logs)),
        identity,
    )
    assert {name: record[name] for name in identity} == identity
    return record, epochs


def without_times(record):
    return {key: record[key] for key in record if key != "seconds"}


def test_a_record_and_its_repetition(user_folder):
    record, epochs = run(settings())
    assert record["status"] == "finished" and record["message"] is None
    assert record["tasks"] == ["sum", "sign"]
    assert record["steps_per_epoch"] == 4
    assert [epoch for epoch, _ in epochs] == [1, 2]
    assert record["history"] == [logs for _, logs in epochs]
    for name in ("loss", "val_sum_mae", "val_sign_accuracy", "sum_weight"):
        assert name in record["history"][0]
    assert np.allclose(np.diag(record["cosines"]), 1.0, atol=1e-5)  # float32
    assert len(record["seconds"]["epochs"]) == 2
    assert record["seconds"]["per_epoch"] == record["seconds"]["epochs"][1]
    assert record["seconds"]["per_step"] == record["seconds"]["per_epoch"] / 4

    # What ran before in the process changes nothing.
    other, _ = run(settings(), seed=1)
    assert other["history"] != record["history"]
    again, _ = run(settings())
    assert without_times(again) == without_times(record)


def test_what_was_measured_is_what_the_model_gives(user_folder):
    given = settings(epochs=1)
    record, _ = run(given, strategy="ew")
    fresh_start(0)
    model = make_model(given)
    data = load_data(given)
    history = model.fit(
        data.train.x, data.train.y, batch_size=8, strategy="ew", verbose=0
    ).history
    tested = model.evaluate(
        data.test.x, data.test.y, verbose=0, return_dict=True
    )
    # Sums of float32 in batches of another size.
    found = record["history"][0]
    assert found["loss"] == pytest.approx(history["loss"][0], rel=1e-5)
    assert found["val_loss"] == pytest.approx(tested["loss"], rel=1e-5)
    # No task gradients are taken for equal weights.
    assert record["cosines"] is None and "conflict_ratio" not in found


def test_names_of_tasks_reach_the_page_as_text(user_folder):
    given = settings(
        model="comparison_problem:build_hostile",
        dataset="comparison_problem:load_hostile_data",
        strategies=("ew",),
        epochs=1,
    )
    record, _ = run(given, strategy="ew")
    record["backend"] = BACKEND
    page = html_report(
        {
            "settings": dataclasses.asdict(given),
            "versions": {BACKEND: {}},
            "runs": [record],
            "summary": summarize([record]),
            "agreement": [],
            "missing": [],
        }
    )
    assert HOSTILE_TASKS[0] not in page
    assert html.escape(HOSTILE_TASKS[0]) in page


@pytest.mark.parametrize("name", ["parameters", "model"])
def test_another_model_is_not_trained(user_folder, name):
    given = settings()
    data = load_data(given)
    identity = model_identity(make_model(given)) | data_identity(data)
    epochs = []
    with pytest.raises(ValueError, match=f"seed 3 has {name}="):
        train(
            given,
            data,
            "ew",
            3,
            lambda epoch, logs: epochs.append(epoch),
            {**identity, name: "other"},
        )
    assert not epochs


def test_the_objective_is_one_of_the_models(user_folder):
    data = load_data(settings())
    for name in ("test_loss", "test_sum_mae", "test_sign_accuracy:min"):
        given = settings(objective=name)
        check_objective(given, make_model(given), data)
    # Some labels are missing.
    data.test.y["sum"][0] = np.nan
    given = settings(objective="test_sum_mse")
    with pytest.raises(ValueError, match="test_sum_mae.*objective=test_sum_ms"):
        check_objective(given, make_model(given), data)


def test_divergence_is_a_result(user_folder):
    record, _ = run(settings(model="comparison_problem:diverging"))
    assert record["status"] == "diverged"
    assert "not finite" in record["message"]
    numbers = [value for logs in record["history"] for value in logs.values()]
    assert all(value is None or math.isfinite(value) for value in numbers)


def test_mean_cosines_leaves_out_what_was_not_measured():
    nan = np.nan
    first = np.array([[1.0, 0.5], [0.5, nan]])
    second = np.array([[1.0, nan], [nan, nan]])
    assert mean_cosines([first, second]) == [[1.0, 0.5], [0.5, None]]
    assert mean_cosines([np.full((2, 2), nan)]) is None
    assert mean_cosines([]) is None


def test_agreement_starts_where_it_is_told(user_folder, tmp_path):
    """Plain gradient descent in NumPy takes the same steps."""
    given = settings(
        model="comparison_problem:build_hostile",
        dataset="comparison_problem:load_hostile_data",
        agreement_steps=5,
    )
    data = load_data(given)
    start, end = tmp_path / "start.npz", tmp_path / "end.npz"
    start.write_bytes(agreement.start_weights(given, data))
    keras.utils.set_random_seed(7)
    end.write_bytes(agreement.take_steps(given, data, "ew", start))

    weights = [it.astype("float64") for it in agreement.read_weights(start)]
    kernel, bias, *heads = weights
    targets = list(data.train.y.values())
    for step in range(5):
        # Four batches, and the first one again.
        rows = slice(8 * (step % 4), 8 * (step % 4) + 8)
        x = data.train.x[rows].astype("float64")
        features = x @ kernel + bias
        into_features = np.zeros_like(features)
        for task in range(2):
            head, offset = heads[2 * task : 2 * task + 2]
            error = features @ head + offset - targets[task][rows].reshape(8, 1)
            error *= 2.0 / 8.0
            into_features += error @ head.T
            heads[2 * task] = head - 0.01 * features.T @ error
            heads[2 * task + 1] = offset - 0.01 * error.sum(axis=0)
        kernel = kernel - 0.01 * x.T @ into_features
        bias = bias - 0.01 * into_features.sum(axis=0)
    for found, expected in zip(
        agreement.read_weights(end), [kernel, bias, *heads], strict=True
    ):
        # Five steps in float32.
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_steps_that_diverge_have_nothing_to_compare(user_folder, tmp_path):
    (user_folder / "comparison_problem.py").write_text(
        (user_folder / "comparison_problem.py").read_text()
        + "\nHUGE = load_data()\nHUGE[0][1]['sum'] *= 1e30\n"
        "def load_huge(): return HUGE\n"
    )
    given = settings(dataset="comparison_problem:load_huge", agreement_steps=2)
    start, end = tmp_path / "start.npz", tmp_path / "end.npz"
    data = load_data(given)
    start.write_bytes(agreement.start_weights(given, data))
    end.write_bytes(agreement.take_steps(given, data, "ew", start))
    (found,) = agreement.compare_weights(
        start, {"ew": {"jax": start, "torch": end}}
    )
    assert found["difference"] is None and found["movement"] == 0.0


def test_distances_between_backends(tmp_path):
    def save(name, *arrays):
        path = tmp_path / f"{name}.npz"
        named = {f"weight_{i}": array for i, array in enumerate(arrays)}
        np.savez(path, **named)
        return path

    start = save("start", np.zeros(2), np.ones((1, 1)))
    jax = save("jax", np.array([1.0, 0.0]), np.ones((1, 1)))
    torch = save("torch", np.array([1.0, 0.5]), np.array([[0.75]]))
    lost = save("lost", np.array([np.nan, 0.5]), np.array([[0.75]]))
    files = {"ew": {"jax": jax, "torch": torch}, "mgda": {"jax": jax}}
    assert agreement.compare_weights(start, files) == [
        {
            "strategy": "ew",
            "backends": ["jax", "torch"],
            "difference": 0.5,
            "movement": 1.0,
        }
    ]
    found = agreement.compare_weights(start, {"ew": {"a": jax, "b": lost}})
    assert found[0]["difference"] is None
