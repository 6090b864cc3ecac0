"""What users get wrong, and what they are told: what was given, and a way out.

No mistake may change anything: each is made on a model that is in training.
"""

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
import pytest
from training import toy

import keras_mtl
from keras_mtl import aggregators
from keras_mtl import balancers
from keras_mtl import callbacks
from keras_mtl import datasets
from keras_mtl import flatness
from keras_mtl import layers
from keras_mtl import metrics
from keras_mtl import strategies
from keras_mtl import visualization
from keras_mtl.strategies import Strategy

X, Y = toy.data()
ONES = np.ones(toy.NUM_SAMPLES, dtype="float32")
LABELS = np.zeros((4, 2), dtype="int32")


class Mistake(NamedTuple):
    """A mistake and its message.

    Attributes:
        action: What is done, with a model that is in training.
        parts: What the message must say.
        error: Type of the error.
    """

    action: Callable[[keras_mtl.MultiTaskModel], Any]
    parts: tuple[str, ...]
    error: type[Exception] = ValueError


def making(maker, *args, **kwargs):
    """The mistake of calling a constructor or function like this."""
    return lambda model: maker(*args, **kwargs)


def fitting(x=X, y=Y, **kwargs):
    """The mistake of fitting the model like this."""
    return lambda model: toy.fit(model, x, y, **kwargs)


def fitting_anew(strategy="db_mtl", fit=None, **kwargs):
    """The mistake of compiling and fitting a new model like this."""

    def action(model):
        fresh = toy.compiled(toy.make_model(), strategy, **kwargs)
        toy.fit(fresh, **(fit or {}))

    return action


def compiling(**kwargs):
    """The mistake of compiling the model like this."""
    return lambda model: toy.compiled(
        model, **{"strategy": "ew", "optimizer": "sgd", **kwargs}
    )


def keras_model(outputs=2):
    """A plain Keras model with that many outputs."""
    inputs = keras.Input((6,))
    return keras.Model(
        inputs,
        {f"task_{i}": keras.layers.Dense(1)(inputs) for i in range(outputs)},
    )


def watched(callback):
    """The mistake of giving a callback to a plain Keras model."""

    def action(model):
        plain = keras_model()
        plain.compile("sgd", "mse")
        plain.fit(
            X,
            {"task_0": Y["left"], "task_1": Y["left"]},
            callbacks=[callback],
            verbose=0,
        )

    return action


def represented(model):
    """The mistake of taking gradients of a trunk that there is not."""
    inputs = keras.Input((6,))
    flat = keras_mtl.MultiTaskModel(
        inputs,
        {task: keras.layers.Dense(1)(inputs) for task in ("a", "b")},
    )
    strategy = Strategy(aggregator="mgda", gradients="representation")
    flat.compile("sgd", {"a": "mse", "b": "mse"}, strategy=strategy)
    flat.fit(X, {"a": Y["left"], "b": Y["left"]}, verbose=0)


def called_without_inputs_of_a_task(model):
    heads = {task: keras.layers.Dense(1) for task in ("a", "b")}
    keras_mtl.MultiTaskModel(
        trunk=keras.layers.Dense(2), heads=heads, task_inputs=True
    ).network.call({"a": X})


def frozen(model):
    """The mistake of freezing all that a task depends on."""
    fresh = toy.make_model()
    for name in ("trunk", "left"):
        fresh.get_layer(name).trainable = False
    toy.compiled(fresh, "mgda")


def dense():
    return keras.layers.Dense(2)


MODELS = {
    "no_model": Mistake(
        making(keras_mtl.MultiTaskModel),
        ("needs `inputs` and `outputs`", "`trunk`"),
    ),
    "one_output": Mistake(
        lambda model: keras_mtl.MultiTaskModel.from_model(
            keras_model(1)
        ).compile("sgd", "mse"),
        ("two or more tasks", "keras_mtl.losses.Task", "keras.Model"),
    ),
    "layer_as_model": Mistake(
        lambda model: keras_mtl.MultiTaskModel.from_model(dense()),
        ("must be a keras.Model", "Dense"),
    ),
    "heads_as_list": Mistake(
        lambda model: keras_mtl.MultiTaskModel(
            trunk=dense(), heads=[dense(), dense()]
        ),
        ("`heads` a dict from task names to layers", "Received"),
    ),
    "function_as_head": Mistake(
        lambda model: keras_mtl.MultiTaskModel(
            trunk=dense(), heads={"a": dense(), "b": lambda x: x}
        ),
        ("`heads` a dict from task names to layers", "<lambda>"),
    ),
    "class_as_trunk": Mistake(
        lambda model: keras_mtl.MultiTaskModel(
            trunk=keras.layers.Dense, heads={"a": dense(), "b": dense()}
        ),
        ("`trunk` must be a layer", "<class"),
    ),
    "two_outputs_of_one_name": Mistake(
        lambda model: keras_mtl.MultiTaskModel(
            inputs := keras.Input((2,)),
            [keras.layers.Dense(1, name="depth")(inputs) for _ in range(2)],
        ),
        ('"depth" is used 2 times',),
    ),
    "inputs_of_a_task_left_out": Mistake(
        called_without_inputs_of_a_task,
        ("each task has inputs of its own", "{'a': ..., 'b': ...}"),
    ),
    "unknown_task_model": Mistake(
        lambda model: model.task_model("lfet"),
        ("'lfet'", "Did you mean 'left'"),
    ),
    "everything_of_a_task_frozen": Mistake(
        frozen, ("Task 'left' reaches no trainable variable",)
    ),
    "representation_without_a_trunk": Mistake(
        represented,
        ("needs a trunk", "`trunk=` and `heads=`", 'gradients="parameters"'),
    ),
}

COMPILE = {
    "misspelt_strategy": Mistake(
        compiling(strategy="fs_mlt"), ("'fs_mlt'", "Did you mean 'fs_mtl'")
    ),
    "name_of_an_aggregator_with_arguments": Mistake(
        compiling(strategy="constant"),
        ("Constant needs arguments", "`Constant(...)`"),
    ),
    "name_of_a_balancer_with_arguments": Mistake(
        making(Strategy, balancer="fixed"),
        ("Fixed needs arguments", "`Fixed(...)`"),
    ),
    "number_as_strategy": Mistake(
        compiling(strategy=3), ("Expected a strategy", "3 of type int")
    ),
    "two_strategies": Mistake(
        compiling(strategy=["log", "mgda"]),
        ("Expected a strategy", "['log', 'mgda']"),
    ),
    "strategy_without_losses": Mistake(
        compiling(loss=None), ("needs a loss per task", "loss={task: ...}")
    ),
    "loss_left_out": Mistake(
        compiling(loss={"left": "mse"}), ("no loss for 'right'",)
    ),
    "loss_of_unknown_task": Mistake(
        compiling(loss={**toy.losses(), "lfet": "mse"}),
        ("'lfet'", "Did you mean 'left'"),
    ),
    "losses_by_length": Mistake(
        compiling(loss=["mse"]), ("one entry per output", "left")
    ),
    "weight_of_unknown_task": Mistake(
        compiling(loss_weights={"rihgt": 1.0}),
        ("'rihgt'", "Did you mean 'right'"),
    ),
    "text_as_weight": Mistake(
        compiling(loss_weights={"left": "big"}),
        ("loss_weights['left']", "big of type str"),
    ),
    "one_weight_for_all": Mistake(
        compiling(loss_weights=2.0), ("must be a dict", "2.0")
    ),
    "unknown_policy": Mistake(
        compiling(on_nonfinite="explode"),
        ("'raise', 'skip', 'ignore'", "explode"),
    ),
    "weights_for_another_number_of_tasks": Mistake(
        compiling(strategy=balancers.Fixed([1, 2, 3])),
        ("one entry per task", "3 entries for 2 tasks"),
    ),
    "preference_for_another_number_of_tasks": Mistake(
        fitting_anew(aggregators.UPGrad(preference=[1, 2, 3])),
        ("`preference`", "3 entries for 2 tasks"),
    ),
    "too_few_tasks": Mistake(
        compiling(strategy="trimmed_mean"),
        ("TrimmedMean needs at least 3 tasks", "has 2"),
    ),
    "strategy_for_a_keras_model": Mistake(
        lambda model: keras_model().compile("sgd", "mse", strategy="ew"),
        ("unexpected keyword argument 'strategy'",),
        TypeError,
    ),
}

FIT = {
    "not_compiled": Mistake(
        lambda model: toy.fit(toy.make_model()), ("compile()",)
    ),
    "strategy_before_compile": Mistake(
        lambda model: toy.fit(toy.make_model(), strategy="ew"),
        ("Call `compile()` before `fit(strategy=...)`",),
    ),
    "texts_as_labels": Mistake(
        fitting(y={**Y, "right": Y["right"].astype("U")}),
        ("labels of task 'right'", "<U", "Number the classes"),
    ),
    "misspelt_strategy_in_fit": Mistake(
        fitting(strategy="dbmlt"), ("'dbmlt'", "Did you mean 'db_mtl'")
    ),
    "wrong_type_in_fit": Mistake(
        fitting(strategy=1.5), ("Expected a strategy", "1.5 of type float")
    ),
    "labels_left_out": Mistake(
        fitting(y={"left": Y["left"]}),
        ("no labels for task 'right'", "NaN", "Received labels for: left"),
    ),
    "labels_of_unknown_task": Mistake(
        fitting(y={**Y, "lfet": Y["left"]}), ("Did you mean 'left'",)
    ),
    "labels_as_short_list": Mistake(
        fitting(y=[Y["left"]]), ("one entry per output",)
    ),
    "one_array_of_labels": Mistake(
        fitting(y=Y["left"]), ("must be a dict by task name", "left, right")
    ),
    "labels_forgotten": Mistake(
        fitting(y=None), ("must be a dict by task name", "NoneType")
    ),
    "no_label_at_all": Mistake(
        fitting(
            y={task: np.full(toy.NUM_SAMPLES, np.nan) for task in ("left",)}
            | {"right": np.full(toy.NUM_SAMPLES, np.nan)}
        ),
        ("Every label of every task is NaN", "Check how `y` was made"),
    ),
    "weights_of_unknown_task": Mistake(
        fitting(sample_weight={"lfet": ONES, "right": ONES}),
        ("'lfet'", "Did you mean 'left'"),
    ),
    "labels_of_wrong_shape": Mistake(
        fitting_anew(
            fit={"x": X, "y": {**Y, "right": np.zeros((toy.NUM_SAMPLES, 2))}}
        ),
        ("labels of task 'right' do not fit", "(8, 2)", "(8, 3)"),
    ),
    "batch_too_small_for_the_method": Mistake(
        lambda model: toy.step(
            toy.compiled(toy.make_model(), "modo"),
            X[:2],
            {task: labels[:2] for task, labels in Y.items()},
        ),
        ("splits each batch into 3 parts", "a batch of 2", "`batch_size`"),
    ),
    "data_for_no_balancer": Mistake(
        fitting(balancer_data=(X, Y)),
        ("The balancer Log takes no data", "AutoLambda"),
    ),
    "no_data_for_a_balancer": Mistake(
        fitting_anew("auto_lambda"), ("pass `balancer_data=(x, y)` to `fit`",)
    ),
    "data_of_unequal_length": Mistake(
        fitting_anew("auto_lambda", {"balancer_data": (X[:5], Y)}),
        ("same number of samples", "[5, 24]"),
    ),
    "gradients_before_compile": Mistake(
        lambda model: toy.make_model().task_gradients(X, Y),
        ("compile(loss={task: ...})",),
    ),
}

STRATEGIES = {
    "misspelt_aggregator": Mistake(
        making(aggregators.get, "mdga"), ("'mdga'", "Did you mean 'mgda'")
    ),
    "misspelt_flatness": Mistake(
        making(Strategy, flatness="task_sm"), ("Did you mean 'task_sam'",)
    ),
    "aggregator_as_balancer": Mistake(
        making(Strategy, balancer=aggregators.MGDA()),
        ("Expected a balancer", "of type MGDA"),
    ),
    "balancer_as_aggregator": Mistake(
        making(Strategy, aggregator="uw"),
        ("Unknown aggregator: 'uw'", "Allowed: "),
    ),
    "class_as_aggregator": Mistake(
        making(Strategy, aggregator=aggregators.MGDA),
        ("Expected an aggregator", "Make an instance", "`MGDA(...)`"),
    ),
    "strategy_in_a_strategy": Mistake(
        making(strategies.FSMTL, "fs_mtl"), ("Unknown aggregator: 'fs_mtl'",)
    ),
    "negative_radius": Mistake(
        making(strategies.FSMTL, rho=-0.1),
        ("`rho` must be a number in [0, inf)", "rho=-0.1"),
    ),
    "radius_as_string": Mistake(
        making(strategies.FSMTL, rho="0.1"),
        ("`rho` must be a number", "LearningRateSchedule", "0.1 of type str"),
    ),
    "radius_as_function": Mistake(
        making(flatness.TaskSAM, rho=lambda step: 0.1),
        ("LearningRateSchedule", "of type function"),
    ),
    "misspelt_argument": Mistake(
        making(strategies.FSMTL, roh=0.1), ("{'roh': 0.1}",)
    ),
    "beta_out_of_range": Mistake(
        making(strategies.DBMTL, beta=1.0),
        ("`beta` must be a number in [0, 1)", "beta=1.0"),
    ),
    "negative_weights": Mistake(
        making(balancers.Fixed, [-1, 1]),
        ("non-negative number per task", "[-1, 1]"),
    ),
    "weights_by_name": Mistake(
        making(balancers.Fixed, {"left": 1, "right": 2}),
        ("one finite number per task", "{'left': 1, 'right': 2}"),
    ),
    "weights_as_strings": Mistake(
        making(aggregators.Constant, ["a", "b"]),
        ("one finite number per task", "['a', 'b']"),
    ),
    "preference_of_zeros": Mistake(
        making(aggregators.UPGrad, preference=[0, 0]),
        ("not all of them 0", "[0, 0]"),
    ),
    "temperature_of_zero": Mistake(
        making(balancers.DWA, temperature=0), ("(0, inf)", "temperature=0")
    ),
    "seed_as_float": Mistake(
        making(aggregators.PCGrad, seed=1.5),
        ("`seed` must be None or an integer", "1.5"),
    ),
    "unknown_normalization": Mistake(
        making(aggregators.MGDA, normalization="l3"),
        ("must be one of (None, 'l2', 'loss', 'loss+')", "l3"),
    ),
    "preference_for_none": Mistake(
        making(Strategy, aggregator="mgda", loss_weights="preference"),
        ("takes a `preference`", "UPGrad, DualProj", "MGDA"),
    ),
    "averages_of_representations": Mistake(
        making(Strategy, aggregator="db_mtl", gradients="representation"),
        ("DBMTL keeps averages", 'gradients="parameters"'),
    ),
    "list_as_group": Mistake(
        fitting_anew(
            Strategy(aggregator="mgda", granularity=lambda variable: [1])
        ),
        ("the key of a dict", "trunk/kernel", "[1]"),
    ),
    "unknown_granularity": Mistake(
        making(Strategy, granularity="layers"), ('"layer"', "layers")
    ),
    "variables_by_name": Mistake(
        making(flatness.TaskSAM, variables=["kernel"]),
        ("a function from a variable to a bool", "['kernel']"),
    ),
    "pairs_of_a_method_for_three": Mistake(
        making(strategies.FSMTL, "trimmed_mean", combine="second"),
        ("needs 3", 'combine="decomposed"', "TrimmedMean"),
    ),
    "integers_as_gradients": Mistake(
        lambda model: aggregators.MGDA()([[1, 0], [0, 1]]),
        ("must hold floats", "int32"),
    ),
    "losses_forgotten": Mistake(
        lambda model: aggregators.MGDA("loss")([[1.0, 0.0], [0.0, 1.0]]),
        ("needs the task losses", "`losses`"),
    ),
    "matrix_of_losses": Mistake(
        lambda model: balancers.Log()([[1.0, 2.0]]),
        ("one loss per task", "(1, 2)"),
    ),
}

CALLBACKS = {
    "monitor_without_strategy": Mistake(
        fitting_anew(None, {"callbacks": [callbacks.TaskMonitor()]}),
        ("steps of a strategy", "strategy='ew'"),
    ),
    "monitor_of_a_keras_model": Mistake(
        watched(callbacks.TaskMonitor()), ("keras_mtl.MultiTaskModel",)
    ),
    "radius_without_flatness": Mistake(
        fitting(callbacks=[callbacks.RhoScheduler(lambda epoch: 0.1)]),
        ("no flatness regularizer", '"fs_mtl"'),
    ),
    "number_as_schedule": Mistake(
        making(callbacks.RhoScheduler, 0.1),
        ("must be a function from the number of the epoch", "0.1"),
    ),
    "temperature_without_layer": Mistake(
        fitting(callbacks=[callbacks.TemperatureSchedule(lambda epoch: 1.0)]),
        ("no temperature to set", "LearningToBranch"),
    ),
    "no_baselines": Mistake(
        making(callbacks.DeltaM, {}, set()), ("`baselines` must be a dict",)
    ),
    "direction_of_unknown_metric": Mistake(
        making(callbacks.DeltaM, {"left_loss": 1.0}, {"right_accuracy"}),
        ("['right_accuracy'], which are no metrics", "['left_loss']"),
    ),
    "baselines_of_unknown_metric": Mistake(
        fitting_anew(
            None,
            {
                "callbacks": [
                    callbacks.DeltaM({"lfet_loss": 1.0}, set(), prefix="")
                ]
            },
        ),
        ("['lfet_loss'] in the logs", "left_loss"),
    ),
    "nothing_to_validate": Mistake(
        fitting_anew(
            None, {"callbacks": [callbacks.DeltaM({"left_loss": 1.0}, set())]}
        ),
        ("no epoch was validated", "validation_data", 'prefix=""'),
        UserWarning,
    ),
    "unknown_rule": Mistake(
        making(callbacks.MTLEarlyStopping, "best"),
        ("('delta_m', 'mean_rank', 'any', 'all')", "best"),
    ),
    "unknown_direction": Mistake(
        making(callbacks.MTLEarlyStopping, metrics={"left_loss": "down"}),
        ("('min', 'max')", "down"),
    ),
}

DATA = {
    "misspelt_data_set": Mistake(
        making(datasets.load, "rendred_rooms"),
        ("'rendred_rooms'", "Did you mean 'rendered_rooms'"),
    ),
    "unknown_split": Mistake(
        making(datasets.load, "rendered_rooms", "validation"),
        ("('train', 'test')", "validation"),
    ),
    "unknown_option": Mistake(
        making(datasets.load, "multi_digits", num_samples=3),
        ("no option 'num_samples'", "num_train"),
    ),
    "unknown_form": Mistake(
        making(datasets.load, "multi_digits", backend_native="torch"),
        ("'pydataset'", "torch"),
    ),
    "files_that_must_be_got": Mistake(
        making(datasets.load, "nyuv2"),
        ("'nyuv2' is not downloaded", "lorenmt/mtan", "`data_dir=FOLDER`"),
        FileNotFoundError,
    ),
    "files_elsewhere": Mistake(
        making(datasets.load, "office31", data_dir="nowhere"),
        ("There is no nowhere", "amazon", "`data_dir=FOLDER`"),
        FileNotFoundError,
    ),
    "no_samples": Mistake(
        making(datasets.multi_digits, 0), ("positive integer", "num_train=0")
    ),
    "size_as_number": Mistake(
        making(datasets.rendered_rooms, image_size=64),
        ("height and width", "64"),
    ),
    "sources_as_list": Mistake(
        making(datasets.MultiTaskDataset, [(X, Y["left"])]),
        ("a dict from tasks to sources", "of type list"),
    ),
    "source_without_labels": Mistake(
        making(datasets.MultiTaskDataset, {"a": "x"}),
        ("task 'a' must be a tuple (x, y)", "without labels", "str"),
    ),
    "source_of_unequal_length": Mistake(
        making(datasets.MultiTaskDataset, {"a": (X, Y["left"][:3])}),
        ("task 'a' must have the same number of samples", "[3, 24]"),
    ),
    "empty_source": Mistake(
        making(datasets.MultiTaskDataset, {"a": (X[:0], Y["left"][:0])}),
        ("task 'a' has no samples", "Leave the task out"),
    ),
    "generator_as_source": Mistake(
        making(datasets.MultiTaskDataset, {"a": iter([])}),
        ("task 'a' is unknown", "keras.utils.PyDataset"),
    ),
    "batch_size_of_unknown_task": Mistake(
        making(
            datasets.MultiTaskDataset,
            {"a": (X, Y["left"])},
            batch_size={"b": 3},
        ),
        ("`batch_size`", "['a']", "['b']"),
    ),
    "unknown_mode": Mistake(
        making(
            datasets.MultiTaskDataset, {"a": (X, Y["left"])}, mode="longest"
        ),
        ("('cycle', 'shortest', 'proportional')", "longest"),
    ),
}

METRICS = {
    "one_class": Mistake(
        making(metrics.MeanIoU, 1), ("at least 2", "num_classes=1")
    ),
    "classes_as_string": Mistake(
        making(metrics.MeanIoU, "5"), ("an integer", "5 of type str")
    ),
    "no_bins": Mistake(
        making(metrics.ExpectedCalibrationError, 0), ("num_bins=0",)
    ),
    "labels_and_predictions_of_other_ranks": Mistake(
        lambda model: metrics.PixelAccuracy().update_state(
            LABELS, np.zeros((4, 3), "float32")
        ),
        ("shape of the predictions without the last axis", "(4, 2)", "(4, 3)"),
    ),
    "baselines_of_other_tasks": Mistake(
        making(metrics.delta_m, {"a": 1.0}, {"b": 1.0}, set()),
        ("Missing: ['a']", "Unknown: ['b']"),
    ),
    "baseline_of_zero": Mistake(
        making(metrics.delta_m, {"a": 1.0}, {"a": 0.0}, set()),
        ("positive baselines", "0.0", "Leave the metric out"),
    ),
    "direction_of_no_metric": Mistake(
        making(metrics.delta_m, {"a": 1.0}, {"a": 1.0}, {"accuracy"}),
        ("['accuracy']", "['a']"),
    ),
    "methods_with_other_metrics": Mistake(
        making(metrics.mean_rank, {"m": {"a": 1.0}, "n": {"b": 1.0}}, set()),
        ("results['n']", "Missing: ['a']"),
    ),
    "reference_of_other_length": Mistake(
        making(metrics.hypervolume, [[1.0, 2.0]], [1.0]), ("(n, 1)", "(1, 2)")
    ),
}

LAYERS = {
    "one_task_as_string": Mistake(
        making(layers.MMoE, "left", dense(), 2),
        ("a list of task names", "'left'"),
    ),
    "task_named_twice": Mistake(
        making(layers.MMoE, ["a", "a"], dense(), 2),
        ("each of them once", "['a', 'a']"),
    ),
    "number_of_experts_forgotten": Mistake(
        making(layers.MMoE, ["a", "b"], dense()),
        ("`num_experts` must be an integer", "None"),
    ),
    "units_as_expert": Mistake(
        making(layers.MMoE, ["a", "b"], 8, 2),
        ("must be a Keras layer or model", "8"),
    ),
    "experts_of_one_task_only": Mistake(
        making(layers.CGC, ["a", "b"], dense(), {"a": 1}),
        ("must have the keys a, b", "Received: a"),
    ),
    "features_of_one_task_only": Mistake(
        lambda model: layers.CrossStitch(["a", "b"])({"a": X}),
        ("must have the keys a, b", "Received: a"),
    ),
    "more_chosen_than_there_are": Mistake(
        making(layers.DSelectK, k=5, num_experts=4),
        ("at most the number of experts", "k=5 for 4 experts"),
    ),
    "features_without_a_head": Mistake(
        making(
            layers.HardSharing, dense(), {"a": dense()}, features={"b": "x"}
        ),
        ("'b', which has no head", "Heads: a"),
    ),
}

FIGURES = {
    "inner_products_as_cosines": Mistake(
        making(visualization.plot_conflicts, 3 * np.eye(2), ["a", "b"]),
        ("must be in [-1, 1]", "divide inner products by both norms"),
    ),
    "another_number_of_tasks": Mistake(
        making(visualization.plot_conflicts, np.eye(2), ["a", "b", "c"]),
        ("[3, 3]", "[2, 2]"),
    ),
    "no_history": Mistake(
        making(visualization.plot_losses, [1, 2]),
        ("what `fit` returns", "[1, 2]"),
    ),
    "logits_as_probabilities": Mistake(
        making(visualization.plot_reliability, 2 * np.ones((2, 3)), [0, 1]),
        ("apply softmax", "2.0"),
    ),
    "unknown_kind": Mistake(
        making(
            visualization.plot_predictions,
            np.ones((1, 2, 2, 3)),
            {"a": np.ones((1, 2, 2, 1))},
            {"a": np.ones((1, 2, 2, 1))},
            {"a": "color"},
        ),
        ("('classes', 'depth', 'normals')", "color"),
    ),
    "landscape_of_a_keras_model": Mistake(
        lambda model: visualization.plot_loss_landscape(keras_model(), X, Y),
        ("keras_mtl.MultiTaskModel", "from_model", "Functional"),
    ),
    "landscape_of_unknown_task": Mistake(
        lambda model: visualization.plot_loss_landscape(
            model, X, Y, tasks=["lfet"]
        ),
        ("['left', 'right']", "['lfet']"),
    ),
}


def with_task(function, **kwargs):
    """The mistake of compiling the model with a task like this."""

    def action(model):
        task = keras_mtl.losses.Task(function, **kwargs)
        loss = {**toy.losses(), "third": task}
        toy.compiled(model, "ew", keras.optimizers.SGD(), loss=loss)

    return action


def fitting_task(function, x=X, **kwargs):
    """The mistake of fitting a new model with a task like this."""

    def action(model):
        fresh = toy.make_model()
        with_task(function, **kwargs)(fresh)
        fresh.fit(x, Y, verbose=0)

    return action


def saving_a_lambda(model):
    fresh = toy.make_model()
    with_task(lambda y_pred: y_pred, outputs="left")(fresh)
    fresh.save("never_written.keras")


def training_on_no_points(model):
    fresh = toy.make_model()
    task = keras_mtl.losses.Task
    loss = {
        "left": task("mse", data="inside"),
        "right": task(lambda y_pred: y_pred[:, 0], data="edge"),
    }
    toy.compiled(fresh, "ew", loss=loss)
    fresh.fit({"inside": X}, {"inside": Y["left"]}, verbose=0)


def constant(inputs, model):
    return keras_mtl.derivative(lambda x: keras.ops.sum(inputs, -1), inputs)


TASKS = {
    "unknown_output": Mistake(
        with_task("mse", outputs="lfet"),
        ("output of task 'third'", "Did you mean 'left'"),
    ),
    "no_output": Mistake(
        with_task(lambda y_pred: y_pred),
        ("none of the outputs (left, right)", "outputs='left'"),
    ),
    "unknown_argument": Mistake(
        making(keras_mtl.losses.Task, lambda y_pred, x: y_pred),
        ("'x'", "y_true, y_pred, inputs, model"),
    ),
    "labels_that_are_not_taken": Mistake(
        making(keras_mtl.losses.Task, lambda y_pred: y_pred, labels="left"),
        ("argument `y_true`", "labels='left'"),
    ),
    "no_weights": Mistake(
        with_task(lambda inputs: inputs, outputs="left"),
        ("depends on no weights", "`model`"),
    ),
    "keras_loss_of_two_outputs": Mistake(
        with_task("mse", outputs=["left", "right"]),
        ("one output and its labels", "outputs=['left', 'right']"),
    ),
    "loss_that_is_no_number": Mistake(
        fitting_task(lambda y_pred: keras.ops.ones((2, 3)), outputs="left"),
        ("one for each of the", "(2, 3)", "keras.ops.mean"),
    ),
    "loss_of_parts": Mistake(
        fitting_task(lambda y_pred: [y_pred, y_pred], outputs="left"),
        ("one number or one per sample", "list"),
    ),
    "samples_of_some_tasks": Mistake(
        with_task("mse", outputs="left", data="inside"),
        ("none has", "'left', 'right' has no `data`"),
    ),
    "task_without_samples": Mistake(
        training_on_no_points,
        ("'inside', 'edge'", "Received: 'inside'"),
    ),
    "two_weights": Mistake(
        compiling(
            loss={
                "left": keras_mtl.losses.Task("mse", weight=2),
                "right": "mse",
            },
            loss_weights={"left": 1},
        ),
        ("'left' has a weight in `loss_weights`",),
    ),
    "derivative_of_a_constant": Mistake(
        fitting_task(constant, outputs="left"),
        ("does not depend on `x`", "leave that term out"),
    ),
    "saving_a_lambda": Mistake(
        saving_a_lambda,
        ("'<lambda>'", "cannot be saved", "register_keras_serializable"),
    ),
}

FAMILIES = (
    MODELS,
    TASKS,
    COMPILE,
    FIT,
    STRATEGIES,
    CALLBACKS,
    DATA,
    METRICS,
    LAYERS,
    FIGURES,
)
MISTAKES = {
    name: mistake for family in FAMILIES for name, mistake in family.items()
}


@pytest.fixture(scope="module")
def model():
    """A model in training, on which the mistakes are made."""
    model = toy.make_model()
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    toy.compiled(model, "db_mtl", optimizer)
    toy.fit(model, epochs=1)
    return model


def test_names_are_used_once():
    assert len(MISTAKES) == sum(len(family) for family in FAMILIES)


@pytest.mark.parametrize("name", MISTAKES)
def test_message(name, model):
    mistake = MISTAKES[name]
    strategy, optimizer = model.strategy, model.optimizer
    before = toy.snapshot(model)
    with pytest.raises(mistake.error) as caught:
        mistake.action(model)
    message = str(caught.value)
    for part in mistake.parts:
        assert part in message
    assert model.strategy is strategy and model.optimizer is optimizer
    toy.assert_same(toy.snapshot(model), before)


def test_training_goes_on(model):
    # Last in the file: after all of the mistakes.
    before = toy.snapshot(model)
    toy.step(model)
    assert toy.distance(before["weights"], toy.weights(model)) > 0
