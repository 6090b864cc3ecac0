"""Labels that are missing, for losses of several ranks and of users' own."""

import keras
import numpy as np
import pytest
from training import toy

import keras_mtl


def make_grid_model():
    """Outputs of three ranks: one per image, and one or three per pixel."""
    keras.utils.set_random_seed(0)
    image = keras.Input((4, 4, 2))
    grid = keras.layers.Conv2D(3, 1, activation="tanh", name="trunk")(image)
    return keras_mtl.MultiTaskModel(
        image,
        {
            "size": keras.layers.Dense(1)(keras.layers.Flatten()(grid)),
            "depth": keras.layers.Dense(1)(grid),
            "kind": keras.layers.Dense(3)(grid),
        },
    )


def grid_data():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(6, 4, 4, 2)).astype("float32")
    y = {
        "size": generator.normal(size=(6, 1)),
        "depth": generator.normal(size=(6, 4, 4, 1)),
        "kind": generator.integers(0, 3, (6, 4, 4)),
    }
    return x, {task: label.astype("float32") for task, label in y.items()}


KIND_LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def log_softmax_errors(outputs, labels):
    """Cross-entropy for each pixel."""
    logs = outputs - outputs.max(axis=-1, keepdims=True)
    logs = logs - np.log(np.exp(logs).sum(axis=-1, keepdims=True))
    labels = np.nan_to_num(labels).astype(int)
    return -np.take_along_axis(logs, labels[..., None], axis=-1)[..., 0]


def test_classes_of_pixels_that_are_nan_leave_the_task_present():
    x, y = grid_data()
    # No row of an image has all its labels.
    y["kind"][:, :, 1] = np.nan
    model = make_grid_model()
    toy.compiled(
        model, "mgda", loss={"size": "mse", "depth": "mse", "kind": KIND_LOSS}
    )
    outputs = keras.ops.convert_to_numpy(model(x)["kind"])
    own = model.task_variables["kind"][0]
    before = keras.ops.convert_to_numpy(own)
    logs = toy.step(model, x, y)
    errors = log_softmax_errors(outputs, y["kind"])
    assert logs["kind_loss"] == pytest.approx(
        np.mean(errors[~np.isnan(y["kind"])]), rel=1e-5
    )
    assert np.abs(keras.ops.convert_to_numpy(own) - before).max() > 1e-3


def masked_error(axes):
    """A loss that leaves out NaN itself."""

    def masked(y_true, y_pred):
        known = keras.ops.logical_not(keras.ops.isnan(y_true))
        filled = keras.ops.where(known, y_true, 0.0)
        squares = keras.ops.square(filled - y_pred)
        squares = keras.ops.where(known, squares, 0.0)
        count = keras.ops.sum(keras.ops.cast(known, "float32"), axis=axes)
        return keras.ops.sum(squares, axis=axes) / keras.ops.maximum(count, 1.0)

    return masked


@pytest.mark.parametrize("axes", [None, (1, 2, 3)])
def test_a_loss_of_the_users_own_may_deal_with_nan_itself(axes):
    x, y = grid_data()
    generator = np.random.default_rng(1)
    # Something is missing in each image, and all of the last one.
    y["depth"][generator.random(y["depth"].shape) < 0.4] = np.nan
    y["depth"][-1] = np.nan
    y["size"][::2] = np.nan
    if axes is None:
        y["size"] += 5  # Far from what a label filled with 0 would give.
    loss = {"depth": masked_error(axes), "kind": KIND_LOSS, "size": "mse"}
    if axes is None:
        loss["size"] = masked_error(None)
    model = toy.compiled(
        make_grid_model(),
        "ew",
        loss=loss,
        metrics={"depth": [masked_error(axes)]},
    )
    outputs = {
        task: keras.ops.convert_to_numpy(output)
        for task, output in model(x).items()
    }
    logs = toy.step(model, x, y)
    squares = np.square(outputs["depth"] - y["depth"])
    expected = np.nanmean(squares[:-1], axis=axes)
    assert logs["depth_loss"] == pytest.approx(np.mean(expected), rel=1e-5)
    assert logs["size_loss"] == pytest.approx(
        np.nanmean(np.square(outputs["size"] - y["size"])), rel=1e-5
    )
    assert logs["depth_masked"] == pytest.approx(logs["depth_loss"], rel=1e-5)


def test_parts_of_a_label_that_are_nan_on_purpose():
    def censored(y_true, y_pred):
        time, end = y_true[:, :1], y_true[:, 1:]
        error = keras.ops.where(keras.ops.isnan(end), 0.5, 1.0)
        return keras.ops.mean(error * keras.ops.square(time - y_pred), axis=-1)

    x, y = grid_data()
    ends = np.where(np.arange(6)[:, None] < 2, np.nan, 1.0)
    y["size"] = np.concatenate([y["size"], ends], axis=1).astype("float32")
    y["size"][5] = np.nan
    model = toy.compiled(
        make_grid_model(),
        "ew",
        loss={"size": censored, "depth": "mse", "kind": KIND_LOSS},
    )
    outputs = keras.ops.convert_to_numpy(model(x)["size"])
    logs = toy.step(model, x, y)
    errors = np.square(y["size"][:5, :1] - outputs[:5])
    errors[:2] *= 0.5
    assert logs["size_loss"] == pytest.approx(np.mean(errors), rel=1e-5)


@pytest.mark.parametrize("by_pixel", [True, False])
def test_labels_that_are_cast_to_integers(by_pixel):
    def focal(y_true, y_pred):
        loss = keras.losses.sparse_categorical_crossentropy(
            keras.ops.cast(y_true, "int32"), y_pred, from_logits=True
        )
        loss = (1 - keras.ops.exp(-loss)) ** 2 * loss
        return loss if by_pixel else keras.ops.mean(loss, axis=(1, 2))

    x, y = grid_data()
    y["kind"][::2] = np.nan
    if by_pixel:
        y["kind"][:, 1] = np.nan
    model = toy.compiled(
        make_grid_model(),
        "mgda",
        loss={"size": "mse", "depth": "mse", "kind": focal},
        metrics={"kind": [focal]},
    )
    outputs = keras.ops.convert_to_numpy(model(x)["kind"])
    logs = toy.step(model, x, y)
    errors = log_softmax_errors(outputs, y["kind"])
    errors = (1 - np.exp(-errors)) ** 2 * errors
    expected = np.mean(errors[~np.isnan(y["kind"])])
    assert logs["kind_loss"] == pytest.approx(expected, rel=1e-5)
    assert logs["kind_focal"] == pytest.approx(expected, rel=1e-5)


def test_one_value_for_a_batch_with_missing_labels_is_an_error_if_nan():
    def error(y_true, y_pred):
        return keras.ops.mean(keras.ops.square(y_true - y_pred))

    x, y = grid_data()
    y["size"][0] = np.nan
    model = toy.compiled(
        make_grid_model(),
        "ew",
        loss={"size": error, "depth": "mse", "kind": KIND_LOSS},
    )
    with pytest.raises(keras_mtl.NonFiniteError, match="task 'size'"):
        model.train_on_batch(x, y)
    # Where the whole task is absent, there is nothing to deal with.
    y["size"][:] = np.nan
    logs = model.train_on_batch(x, y, return_dict=True)
    assert np.isnan(logs["size_loss"]) and np.isfinite(logs["loss"])
