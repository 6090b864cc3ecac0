"""What a user would write: data, a model and a strategy, all very small."""

import keras
import numpy as np

import keras_mtl

HOSTILE = "<script>alert(1)</script>"

# Without a slash, which Keras does not allow in the names of layers.
HOSTILE_TASKS = ("<img src=x onerror=alert(1)>", "]]>&\"'<!--")


def load_data():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(48, 4)).astype("float32")
    y = {"sum": x.sum(axis=1, keepdims=True), "sign": (x[:, 0] > 0) * 1}
    train = {task: values[:32] for task, values in y.items()}
    test = {task: values[32:] for task, values in y.items()}
    return (x[:32], train), (x[32:], test)


def build():
    inputs = keras.Input((4,))
    features = keras.layers.Dense(8, activation="tanh")(inputs)
    features = keras.layers.Dropout(0.1)(features)
    model = keras_mtl.MultiTaskModel(
        inputs,
        {
            "sum": keras.layers.Dense(1)(features),
            "sign": keras.layers.Dense(2, activation="softmax")(features),
        },
    )
    model.compile(
        keras.optimizers.Adam(0.01),
        {"sum": "mse", "sign": "sparse_categorical_crossentropy"},
        metrics={"sum": ["mae"], "sign": ["accuracy"]},
    )
    return model


def plain():
    model = build()
    inputs = keras.Input((4,))
    return keras.Model(inputs, model(inputs))


def not_compiled():
    return keras_mtl.MultiTaskModel.from_model(build().network)


def with_schedule():
    model = build()
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    model.compile(keras.optimizers.SGD(schedule), model_losses())
    return model


def model_losses():
    return {"sum": "mse", "sign": "sparse_categorical_crossentropy"}


def load_hostile_data():
    (x, y), (x_test, y_test) = load_data()
    names = dict(zip(("sum", "sign"), HOSTILE_TASKS, strict=True))
    return (
        (x, {names[task]: values for task, values in y.items()}),
        (x_test, {names[task]: values for task, values in y_test.items()}),
    )


def build_hostile():
    inputs = keras.Input((4,))
    features = keras.layers.Dense(3)(inputs)
    outputs = {task: keras.layers.Dense(1)(features) for task in HOSTILE_TASKS}
    model = keras_mtl.MultiTaskModel(inputs, outputs)
    model.compile("sgd", dict.fromkeys(outputs, "mse"))
    return model


def diverging():
    model = build()
    model.compile(keras.optimizers.SGD(1e30), model_losses())
    return model


def gentle():
    return keras_mtl.Strategy(aggregator=keras_mtl.aggregators.PCGrad())


def exploding():
    raise RuntimeError("The user's code does not work.")


not_a_function = 3


def with_rho(rho):
    return keras_mtl.strategies.FSMTL("pcgrad", rho=rho)
