"""The networks of data sets for which the user names none."""

from keras_mtl.demo.model import build_model
from keras_mtl.demo.model import compile_model
from keras_mtl.demo.run import Settings as DemoSettings
from keras_mtl.models import MultiTaskModel

#: Side of the images, and Adam's learning rate.
IMAGE_PAIRS = {
    "multi_digits": (20, DemoSettings.learning_rate),
    "multi_fashion": (36, 1e-3),
    "multi_fashion_mnist": (36, 1e-3),
    "multi_mnist": (36, 1e-3),
}


def default_model(dataset: str) -> MultiTaskModel:
    """Returns the small convolutional network of the demo, compiled.

    Args:
        dataset: One of `IMAGE_PAIRS`.
    """
    side, learning_rate = IMAGE_PAIRS[dataset]
    model = build_model(side)
    compile_model(model, None, learning_rate)
    return model
