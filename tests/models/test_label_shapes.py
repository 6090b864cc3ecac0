"""Labels that cannot belong to an output are refused with a way out."""

import keras
import numpy as np
import pytest
from keras import losses
from training import toy

import keras_mtl
from keras_mtl.models.label_shapes import check_shapes
from keras_mtl.models.loss_functions import as_loss


def check(loss, labels, output):
    check_shapes(
        "kind",
        as_loss("kind", loss),
        keras.KerasTensor(labels),
        keras.KerasTensor(output),
    )


@pytest.mark.parametrize(
    "loss, labels, output",
    [
        ("sparse_categorical_crossentropy", (8,), (8, 3)),
        ("sparse_categorical_crossentropy", (8, 1), (8, 3)),
        ("sparse_categorical_crossentropy", (None, 4, 4), (None, 4, 4, 3)),
        ("categorical_crossentropy", (None, 3), (8, 3)),
        ("binary_crossentropy", (8,), (8, 1)),
        ("binary_crossentropy", (8, 1), (8,)),
        ("mse", (8, 4), (8, 4, 1)),
        # Keras repeats them.
        ("mse", (8, 1), (8, 3)),
        (losses.Circle(), (8,), (8, 5)),
        (losses.CTC(), (8, 3), (8, 12, 7)),
        # A loss of the user's own may pack what it likes.
        (lambda y_true, y_pred: y_true, (8, 2, 2), (8, 3)),
    ],
)
def test_fits(loss, labels, output):
    check(loss, labels, output)


@pytest.mark.parametrize(
    "loss, labels, output, hint",
    [
        ("sparse_categorical_crossentropy", (8, 3), (8, 3), "one-hot labels"),
        (
            losses.SparseCategoricalCrossentropy(),
            (8, 4, 3),
            (8, 4, 3),
            'use "categorical_crossentropy"',
        ),
        (
            "categorical_crossentropy",
            (8,),
            (8, 3),
            'use "sparse_categorical_crossentropy"',
        ),
        (
            losses.CategoricalCrossentropy(),
            (8, 1),
            (8, 3),
            'use "sparse_categorical_crossentropy"',
        ),
        # With batches of three, Keras computes something.
        ("mse", (3,), (3, 3), "the shape of the output"),
        ("mse", (8, 4), (8, 3), "the shape of the output"),
    ],
)
def test_does_not_fit(loss, labels, output, hint):
    with pytest.raises(ValueError, match="task 'kind'") as caught:
        check(loss, labels, output)
    assert hint in str(caught.value)


def test_dice_takes_pixels_together():
    image = keras.Input((4, 4, 2))
    model = keras_mtl.MultiTaskModel(
        image,
        {
            "mask": keras.layers.Dense(1, "sigmoid")(image),
            "size": keras.layers.Dense(1)(keras.layers.Flatten()(image)),
        },
    )
    generator = np.random.default_rng(0)
    x = generator.normal(size=(4, 4, 4, 2)).astype("float32")
    y = {"mask": (x[..., :1] > 0).astype("float32"), "size": x[:, 0, 0, :1]}
    y["mask"][0, 1] = np.nan
    by_image = losses.Dice(axis=(1, 2, 3))
    loss = {"mask": by_image, "size": "mse"}
    toy.compiled(model, "ew", loss=loss)
    outputs = keras.ops.convert_to_numpy(model(x)["mask"])
    # An image with a missing pixel is left out as a whole.
    overlap = 2 * np.sum(outputs * y["mask"], axis=(1, 2, 3))
    dice = 1 - overlap / np.sum(outputs + y["mask"], axis=(1, 2, 3))
    logs = toy.step(model, x, y)
    assert logs["mask_loss"] == pytest.approx(np.mean(dice[1:]), rel=1e-5)
    # Of one value for the whole batch, nothing can be left out.
    loss = {"mask": "dice", "size": "mse"}
    toy.compiled(model, "ew", loss=loss)
    with pytest.raises(keras_mtl.NonFiniteError, match="task 'mask'"):
        model.train_on_batch(x, y)
