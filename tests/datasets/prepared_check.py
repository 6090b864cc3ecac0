"""Compares the files of TensorFlow Datasets with the arrays of `load`."""

import importlib

import keras
import numpy as np
import pytest

from keras_mtl.datasets.recipes import RECIPES


def check_prepared(name, cache_dir, data_dir=None, **options):
    """Writes files and reads them again, without tf.data."""
    pytest.importorskip("tensorflow_datasets")
    pytest.importorskip("array_record")
    module = importlib.import_module(f"keras_mtl.datasets.builders.{name}")
    builder = module.Builder(
        **options,
        source_dir=data_dir,
        data_dir=cache_dir,
        file_format="array_record",
    )
    assert builder.name == f"mtl_{name}"
    builder.download_and_prepare()
    recipe = RECIPES[name](**options)
    assert set(builder.info.splits) == set(recipe.splits)
    for split in recipe.splits:
        x, y = recipe.arrays(split, data_dir)
        arrays = keras.tree.flatten((x, y))
        expected = {
            tuple(leaf.tobytes() for leaf in leaves)
            for leaves in zip(*arrays, strict=True)
        }
        found = set()
        for sample in builder.as_data_source(split):
            leaves = keras.tree.flatten((sample["x"], sample["y"]))
            # Scalars are read as numbers of Python.
            found.add(
                tuple(
                    np.asarray(leaf, array.dtype).tobytes()
                    for leaf, array in zip(leaves, arrays, strict=True)
                )
            )
        assert found == expected
        assert len(found) == len(arrays[0])
