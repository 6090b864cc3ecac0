"""One model per task, against plain Keras models trained one by one."""

import json

import keras
import numpy as np
import pytest

import keras_mtl
from keras_mtl.comparison.comparison_work import ComparisonWork
from keras_mtl.comparison.jobs import Job
from keras_mtl.comparison.problem import resolve_strategy
from keras_mtl.comparison.records import check_record
from keras_mtl.comparison.settings import Settings
from keras_mtl.comparison.single_task import joint_logs
from keras_mtl.models.single_task_model import SingleTaskModel
from keras_mtl.models.single_task_model import check_separable
from tests.comparison import tiny_problem
from tests.comparison import wine_problem

BACKEND = keras.backend.backend()


def work(**changes):
    given = {
        "model": "comparison_problem:build",
        "dataset": "comparison_problem:load_data",
        "strategies": ("ew", "single_task"),
        "epochs": 2,
        "batch_size": 8,
        **changes,
    }
    made = ComparisonWork(Settings(backends=(BACKEND,), **given))
    made.prepare()
    return made


def trained(made, seed=1):
    epochs = []
    content = made.do(
        Job(BACKEND, "single_task", seed),
        lambda epoch, logs: epochs.append((epoch, logs)),
    )
    record = json.loads(content)
    check_record("a file", record)
    return record, epochs


def test_each_task_is_trained_as_by_keras(user_folder):
    record, epochs = trained(work())
    assert record["status"] == "finished" and record["trainings"] == 2
    assert epochs == list(enumerate(record["history"], 1))
    total = {"": 0.0, "val_": 0.0}
    (x, y), (x_test, y_test) = tiny_problem.load_data()
    parameters = 0
    for task, metric in (("sum", "mae"), ("sign", "accuracy")):
        keras.utils.clear_session()
        keras.utils.set_random_seed(1)
        whole = tiny_problem.build()
        model = keras.Model(whole.network.input, whole.network.output[task])
        loss = tiny_problem.model_losses()[task]
        model.compile(keras.optimizers.Adam(0.01), loss, metrics=[metric])
        logs = model.fit(x, y[task], 8, epochs=2, verbose=0).history
        # Not in between: on torch that would draw a random number.
        tested = model.evaluate(
            x_test, y_test[task], verbose=0, return_dict=True
        )
        found = record["history"][-1]
        expected = {
            f"{task}_loss": logs["loss"][-1],
            f"{task}_{metric}": logs[metric][-1],
            f"val_{task}_loss": tested["loss"],
            f"val_{task}_{metric}": tested[metric],
        }
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=1e-5), name
        total[""] += logs["loss"][-1]
        total["val_"] += tested["loss"]
        parameters += model.count_params()
    for prefix, value in total.items():
        assert found[f"{prefix}loss"] == pytest.approx(value, rel=1e-5)
    assert record["trained_parameters"] == parameters > record["parameters"]


def test_weights_validation_and_callbacks_are_those_of_the_task():
    module = wine_problem.__name__
    record, epochs = trained(
        work(
            model=f"{module}:build",
            dataset=f"{module}:load_stopped",
            epochs=3,
            batch_size=wine_problem.BATCH_SIZE,
        )
    )
    assert epochs == list(enumerate(record["history"], 1))
    assert len(epochs) == len(record["seconds"]["epochs"]) == 3
    assert record["trained_epochs"] == 4
    parts = wine_problem.parts()
    for task, loss, count in (
        ("kind", "sparse_categorical_crossentropy", 1),
        ("alcohol", "mse", 3),
    ):
        keras.utils.clear_session()
        keras.utils.set_random_seed(1)
        whole = wine_problem.build()
        model = keras.Model(whole.network.input, whole.network.output[task])
        model.compile(keras.optimizers.Adam(0.01), loss)
        train, test, held = ((x, y[task], w[task]) for x, y, w in parts)
        logs = model.fit(
            train[0],
            train[1],
            wine_problem.BATCH_SIZE,
            sample_weight=train[2],
            validation_data=held,
            epochs=count,
            verbose=0,
        ).history
        x, y, weights = test
        tested = model.evaluate(
            x, y, wine_problem.BATCH_SIZE, sample_weight=weights, verbose=0
        )
        # What has been stopped stays as it is.
        for epoch, found in enumerate(record["history"]):
            place = min(epoch, count - 1)
            for mine, name in (("", "loss"), ("validation_", "val_loss")):
                value = found[f"{mine}{task}_loss"]
                assert value == pytest.approx(logs[name][place], rel=1e-5)
        assert found[f"val_{task}_loss"] == pytest.approx(tested, rel=1e-5)


def test_labels_may_be_missing(user_folder):
    model = tiny_problem.build()
    (x, y), _ = tiny_problem.load_data()
    known = x[:, 1] > 0
    missing = {"sum": np.where(known[:, None], y["sum"], np.nan)}
    # A batch of all, so that it is the mean over the known ones.
    alone = SingleTaskModel(model, "sum").fit(
        x, missing, batch_size=32, strategy="ew", verbose=0
    )
    assert np.isfinite(alone.history["loss"][0])


def test_losses_are_summed_as_compiled():
    logs = {
        "a": {"loss": 1.5, "a_loss": 1.0, "val_a_loss": 3.0, "val_auc": 0.5},
        "b": {"loss": 2.0, "b_loss": 2.0, "val_b_loss": None},
    }
    assert joint_logs(logs, {"a": 1.0, "b": 0.5}) == {
        "loss": 2.0,
        "val_loss": None,
        "a_loss": 1.0,
        "val_a_loss": 3.0,
        "val_a_auc": 0.5,
        "b_loss": 2.0,
        "val_b_loss": None,
    }


def test_what_diverges_is_named(user_folder):
    record, epochs = trained(work(model="comparison_problem:diverging"))
    assert record["status"] == "diverged" and not epochs
    assert record["message"].startswith("sum: ") and record["history"] == []


class Own(keras_mtl.MultiTaskModel):
    def __init__(self):
        super().__init__()
        self.heads = [keras.layers.Dense(1), keras.layers.Dense(1)]

    def call(self, inputs):
        return {"a": self.heads[0](inputs), "b": self.heads[1](inputs)}


def with_inputs_by_task():
    return keras_mtl.MultiTaskModel(
        trunk=keras.layers.Dense(2),
        heads={"a": keras.layers.Dense(1), "b": keras.layers.Dense(1)},
        task_inputs=True,
    )


def not_built():
    return keras_mtl.MultiTaskModel(
        trunk=keras.layers.Dense(2),
        heads={"a": keras.layers.Dense(1), "b": keras.layers.Dense(1)},
    )


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (Own, "Own is a class of its own"),
        (with_inputs_by_task, "each task has inputs of its own"),
        (not_built, "the shape of its inputs is not known"),
    ],
)
def test_what_cannot_be_taken_apart_is_refused(make, expected):
    with pytest.raises(ValueError, match=expected):
        check_separable(make())


def test_it_is_refused_before_anything_is_trained(user_folder):
    module = user_folder / "comparison_problem.py"
    module.write_text(
        module.read_text()
        + "\nclass Own(keras_mtl.MultiTaskModel): pass\n"
        + "def build_own():\n    model = build()\n"
        + "    own = Own(network=model.network)\n"
        + "    own.compile('adam', model_losses())\n    return own\n"
        + "def load_lists():\n    (x, y), (a, b) = load_data()\n"
        + "    return (x, [*y.values()]), (a, [*b.values()])\n"
    )
    with pytest.raises(ValueError, match="'single_task' cannot .* Own is a"):
        work(model="comparison_problem:build_own")
    with pytest.raises(ValueError, match="labels must be a dict by task"):
        work(dataset="comparison_problem:load_lists")
    with pytest.raises(ValueError, match="'single_task' has no argument"):
        resolve_strategy("single_task(rho=0.1)")
