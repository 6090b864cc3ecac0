"""TensorFlow Datasets, which is optional."""

from typing import Any


def import_tfds(purpose: str) -> Any:
    """Returns the package `tensorflow_datasets`, or raises `ImportError`.

    Args:
        purpose: What it is needed for, for the message.
    """
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise ImportError(
            f"{purpose} needs TensorFlow Datasets. Install it with "
            '`pip install "keras-mtl[datasets]"`.'
        ) from error
    return tensorflow_datasets
