"""Samples written to files, and read from there, by TensorFlow Datasets."""

import importlib
import os
from typing import Any

from keras_mtl.datasets.recipe import Recipe
from keras_mtl.datasets.tfds_package import import_tfds


def prepared_builder(
    recipe: Recipe,
    data_dir: str | os.PathLike | None,
    cache_dir: str | os.PathLike | None,
    file_format: str,
) -> Any:
    """Returns a builder of TensorFlow Datasets whose files are written.

    Args:
        recipe: The data set and its options.
        data_dir: Folder of the original files, or `None`.
        cache_dir: Folder of the written files, or `None` for
            `~/tensorflow_datasets`.
        file_format: `"tfrecord"`, which tf.data reads, or `"array_record"`,
            which is read without TensorFlow.
    """
    import_tfds(f"Preparing files of {recipe.name!r}")
    module = importlib.import_module(
        f"keras_mtl.datasets.builders.{recipe.name}"
    )
    builder = module.Builder(
        **recipe.options,
        source_dir=data_dir,
        data_dir=cache_dir,
        file_format=file_format,
    )
    builder.download_and_prepare()
    return builder
