"""Levels of features, by what backbones tell or by their resolution."""

import keras
import numpy as np
import pytest

from keras_mtl.models.backbones.feature_pyramid import feature_pyramid
from tests.backend_tools import numpy
from tests.models import backbones


def images(size=32):
    rng = np.random.default_rng(0)
    return rng.uniform(size=(2, size, size, 3)).astype("float32")


def test_a_level_is_the_last_layer_of_its_resolution():
    backbone = backbones.convolutions()
    pyramid = feature_pyramid(backbone)
    assert list(pyramid.output) == ["P1", "P2", "P3"]
    for level in (1, 2, 3):
        layer = backbone.get_layer(f"gated_{level}")
        assert pyramid.output[f"P{level}"] is layer.output


def test_keras_applications_by_the_names_of_their_stages():
    backbone = backbones.mobile_net(64)
    pyramid = feature_pyramid(backbone)
    # Before each convolution with stride 2 stands the end of a stage.
    ends = ["conv_pw_1", "conv_pw_3", "conv_pw_5", "conv_pw_11", "conv_pw_13"]
    for level, end in enumerate(ends, 1):
        expected = backbone.get_layer(f"{end}_relu").output
        assert pyramid.output[f"P{level}"] is expected
        assert expected.shape[1] == 64 // 2**level


def test_keras_hub_tells_its_levels():
    backbone = backbones.keras_hub_resnet()
    pyramid = feature_pyramid(backbone)
    assert set(pyramid.output) == set(backbone.pyramid_outputs)
    for level, tensor in backbone.pyramid_outputs.items():
        assert pyramid.output[level] is tensor
        assert tensor.shape[1] == 32 // 2 ** int(level[1:])


@pytest.mark.parametrize(
    "make", [backbones.mobile_net, backbones.keras_hub_resnet]
)
def test_features_are_those_of_the_backbone(make):
    backbone = make()
    features = feature_pyramid(backbone)(images())
    last = max(features, key=lambda name: int(name[1:]))
    np.testing.assert_allclose(
        numpy(features[last]), numpy(backbone(images())), rtol=1e-5, atol=1e-6
    )
    for name, feature in features.items():
        assert feature.shape[1] == 32 // 2 ** int(name[1:])


def test_weights_are_those_of_the_backbone():
    backbone = backbones.convolutions()
    pyramid = feature_pyramid(backbone, levels=[3])
    assert [id(v) for v in pyramid.variables] == [
        id(v) for v in backbone.variables
    ]


def test_levels_are_chosen_and_ordered():
    pyramid = feature_pyramid(backbones.convolutions(), levels=(3, 1, 3))
    assert list(pyramid.output) == ["P1", "P3"]


@pytest.mark.parametrize("make", [backbones.mobile_net, backbones.convolutions])
def test_size_of_images_may_be_open(make):
    names = {
        name: tensor._keras_history.operation.name.rstrip("0123456789_")
        for name, tensor in feature_pyramid(make(64)).output.items()
    }
    opened = feature_pyramid(make(None))
    assert {
        name: tensor._keras_history.operation.name.rstrip("0123456789_")
        for name, tensor in opened.output.items()
    } == names
    features = opened(images(48))
    assert features["P3"].shape[1:3] == (6, 6)


def test_convolutions_without_padding_lose_pixels():
    image = x = keras.Input((75, 75, 3))
    for filters in (2, 3, 4):
        x = keras.layers.Conv2D(filters, 3, strides=2)(x)
    pyramid = feature_pyramid(keras.Model(image, x))
    sizes = {name: tensor.shape[1] for name, tensor in pyramid.output.items()}
    assert sizes == {"P1": 37, "P2": 18, "P3": 8}


@pytest.mark.parametrize("levels", [[4], [0], [], [1, 7]])
def test_refuses_levels_that_there_are_not(levels):
    with pytest.raises(ValueError, match="that the backbone has: 1, 2, 3"):
        feature_pyramid(backbones.convolutions(), levels)


def test_refuses_backbones_that_end_in_no_feature_map():
    image = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalMaxPooling2D()(image)
    with pytest.raises(ValueError, match="without global pooling"):
        feature_pyramid(keras.Model(image, pooled))


def test_refuses_what_is_no_functional_model():
    with pytest.raises(ValueError, match="must be a Functional model"):
        feature_pyramid(keras.layers.Dense(1))
