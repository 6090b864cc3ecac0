"""What the builders have in common: everything but the name."""

import os
from typing import Any

import keras
import numpy as np
import tensorflow_datasets as tfds

from keras_mtl.datasets.recipe import ArraySpec
from keras_mtl.datasets.recipe import Recipe
from keras_mtl.datasets.recipes import RECIPES

CHUNK = 256
"""Samples that are made at a time."""


class RecipeBuilder(  # type: ignore[call-arg]
    tfds.core.GeneratorBasedBuilder, skip_registration=True
):
    """Writes the samples of a recipe to files, for all of its splits.

    Each choice of options has files of its own. Samples are
    `{"x": ..., "y": {task: ...}}`, and `(x, y)` with `as_supervised=True`.

    Args:
        source_dir: Folder of the original files. Defaults to `None`.
        data_dir: Folder of the prepared files. Defaults to `None`,
            `~/tensorflow_datasets`.
        file_format: `"tfrecord"` for `as_dataset`, or `"array_record"` for
            `as_data_source`, which needs no TensorFlow.
        version: Version of the builder.
        **options: Options of the data set.
    """

    VERSION = tfds.core.Version("1.0.0")
    recipe_name: str

    def __init__(
        self,
        *,
        source_dir: str | os.PathLike | None = None,
        data_dir: str | os.PathLike | None = None,
        file_format: str | None = None,
        version: str | None = None,
        **options: Any,
    ):
        self.recipe = RECIPES[self.recipe_name](**options)
        self.source_dir = source_dir
        super().__init__(
            config=tfds.core.BuilderConfig(
                name=_config_name(self.recipe),
                description=f"{self.recipe_name} with {self.recipe.options}.",
            ),
            data_dir=data_dir,
            file_format=file_format,
            version=version,
        )

    def _info(self):
        # A spec is a tuple: it must not be taken for a nested structure.
        x, y = self.recipe.specs()
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{self.recipe_name} of keras_mtl.",
            features=tfds.features.FeaturesDict(
                {"x": _feature(x), "y": _feature(y)}
            ),
            supervised_keys=("x", "y"),
        )

    def _split_generators(self, dl_manager):
        return {
            split: self._generate_examples(split)
            for split in self.recipe.splits
        }

    def _generate_examples(self, split):
        samples = self.recipe.checked_open(split, self.source_dir)
        for start in range(0, len(samples), CHUNK):
            rows = np.arange(start, min(start + CHUNK, len(samples)))
            x, y = samples.take(rows)
            for place, row in enumerate(rows):
                yield int(row), {"x": _nth(x, place), "y": _nth(y, place)}


def _config_name(recipe: Recipe) -> str:
    """A folder's name that tells the options."""
    parts = [
        f"{option}_{str(value).strip('()').replace(', ', 'x')}"
        for option, value in sorted(recipe.options.items())
    ]
    return "-".join(parts) or "default"


def _feature(specs):
    if not isinstance(specs, ArraySpec):
        return {name: _feature(spec) for name, spec in specs.items()}
    return tfds.features.Tensor(
        shape=specs.shape,
        dtype=np.dtype(specs.dtype),
        # Much of synthetic images is of one colour.
        encoding="zlib" if specs.shape else "none",
    )


def _nth(arrays, place):
    return keras.tree.map_structure(lambda array: array[place], arrays)
