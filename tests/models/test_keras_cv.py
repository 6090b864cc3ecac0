"""Backbones and augmentation of KerasCV, without its presets."""

import warnings

import keras
import numpy as np
import pytest

from keras_mtl.models import dense_prediction_model
from keras_mtl.models import feature_pyramid
from tests.backend_tools import numpy


@pytest.fixture(scope="module")
def keras_cv():
    with warnings.catch_warnings():
        # Of its own and of TensorFlow's making, on import.
        warnings.simplefilter("ignore")
        return pytest.importorskip("keras_cv")


def images():
    rng = np.random.default_rng(0)
    return rng.uniform(size=(2, 32, 32, 3)).astype("float32")


def test_levels_of_a_backbone_are_those_that_it_tells(keras_cv):
    backbone = keras_cv.models.CSPDarkNetBackbone(
        stackwise_channels=[4, 6],
        stackwise_depth=[1, 1],
        include_rescaling=False,
        input_shape=(32, 32, 3),
    )
    pyramid = feature_pyramid(backbone, levels=[2, 3])
    for level, name in backbone.pyramid_level_inputs.items():
        expected = keras.Model(backbone.input, backbone.get_layer(name).output)(
            images()
        )
        np.testing.assert_allclose(
            numpy(pyramid(images())[level]), numpy(expected), rtol=1e-5
        )
    model = dense_prediction_model(
        backbone, {"kind": 4, "depth": 1}, filters=4, rates=(1,)
    )
    assert model(images())["depth"].shape == (2, 32, 32, 1)


def test_augmentation_of_images_and_masks(keras_cv):
    flip = keras_cv.layers.RandomFlip("horizontal", rate=1.0, seed=0)
    masks = np.arange(2 * 32 * 32).reshape(2, 32, 32, 1) % 7
    flipped = flip(
        {"images": images(), "segmentation_masks": masks.astype("float32")}
    )
    np.testing.assert_allclose(
        numpy(flipped["images"]), images()[:, :, ::-1], rtol=1e-6
    )
    np.testing.assert_array_equal(
        numpy(flipped["segmentation_masks"]), masks[:, :, ::-1]
    )
