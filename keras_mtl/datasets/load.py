"""Data sets by name, in the form that is wanted."""

import inspect
import os
from typing import Any

from keras_mtl.arguments import checked_choice
from keras_mtl.arguments import checked_integer
from keras_mtl.datasets.names import names
from keras_mtl.datasets.recipe import Recipe
from keras_mtl.datasets.recipes import RECIPES
from keras_mtl.datasets.recipes import by_domain
from keras_mtl.datasets.sample_batches import SampleBatches
from keras_mtl.export import keras_mtl_export
from keras_mtl.registry import unknown_name

FORMS = (None, "numpy", "pydataset", "tf")

SHUFFLE_BUFFER = 10_000

#: Options of the forms, beside those of the data sets.
FORM_OPTIONS = {
    None: (),
    "numpy": (),
    "pydataset": ("batch_size", "shuffle"),
    "tf": ("batch_size", "shuffle", "cache_dir"),
}


@keras_mtl_export("keras_mtl.datasets.load")
def load(
    name: str,
    split: str = "train",
    *,
    data_dir: str | os.PathLike | None = None,
    backend_native: str | None = None,
    **options: Any,
) -> Any:
    """Loads a data set by name: arrays, batches for `fit`, or tf.data.

    All forms hold the same samples. Arrays are the fastest where they fit
    into memory. A `PyDataset` makes or reads each batch when it is needed,
    and works on every backend; unshuffled, it is in the order of the arrays.
    `"tf"` writes the samples to files once, by TensorFlow Datasets, in an
    order of their own, and reads them from there; it needs TensorFlow.

    Args:
        name: One of `keras_mtl.datasets.names()`.
        split: `"train"`, `"test"`, or what else the data set has. Defaults to
            `"train"`.
        data_dir: Folder of the original files, for data sets that have such.
            Defaults to `None`, which is fine for those that are made, or
            downloaded.
        backend_native: The form:

            - `None` or `"numpy"`: NumPy arrays;
            - `"pydataset"`: a `keras.utils.PyDataset` of batches;
            - `"tf"`: a `tf.data.Dataset` of batches.

            Defaults to `None`.
        **options: Options of the data set: see the function of its name.
            `"pydataset"` and `"tf"` take `batch_size` (defaults to `32`; with
            `"tf"`, `None` gives single samples), `shuffle` (defaults to
            whether the split is `"train"`), and `seed`, also of the order;
            `"tf"` takes `cache_dir`, the folder of the prepared files
            (defaults to that of TensorFlow Datasets,
            `~/tensorflow_datasets`).

    Returns:
        `(x, y)`, or batches or samples of that form: inputs, and a dict of
        labels by task. Of data sets with inputs per task, a dict from tasks
        to such, for `keras_mtl.datasets.MultiTaskDataset`.

    Raises:
        FileNotFoundError: If files are missing. The message says what to put
            where.
        ImportError: If a package is missing.
        ValueError: If there is no such data set, split, form or option, or a
            file is not as it should be.

    Example:

    ```python
    x, y = keras_mtl.datasets.load("multi_digits", num_train=100)
    x.shape  # (100, 20, 20, 1)
    batches = keras_mtl.datasets.load(
        "multi_digits", backend_native="pydataset", batch_size=64
    )
    len(batches)  # 63
    ```
    """
    if name not in names():
        raise unknown_name("data set", str(name), names())
    checked_choice("backend_native", backend_native, FORMS)
    of_recipe, of_form = _divided(name, backend_native, options)
    return by_domain(
        name,
        lambda recipe: _loaded(
            recipe, split, data_dir, backend_native, of_form
        ),
        **of_recipe,
    )


def _loaded(recipe, split, data_dir, form, options):
    checked_choice("split", split, recipe.splits)
    if form not in ("pydataset", "tf"):
        return recipe.arrays(split, data_dir)
    options = {"batch_size": 32, "shuffle": split == "train", **options}
    if form == "tf":
        return _tf_dataset(recipe, split, data_dir, **options)
    return SampleBatches(recipe.checked_open(split, data_dir), **options)


def _divided(name, form, options):
    """Returns the options of the recipe, and those of the form."""
    known = set(inspect.signature(RECIPES[name]).parameters) - {"domain"}
    of_form = {
        option: options.pop(option)
        for option in FORM_OPTIONS[form]
        if option in options and option not in known
    }
    if form in ("pydataset", "tf") and "seed" in options:
        of_form["seed"] = options["seed"]
        if "seed" not in known:
            del options["seed"]
    unknown = sorted(set(options) - known)
    if unknown:
        allowed = sorted({*known, *FORM_OPTIONS[form]})
        raise ValueError(
            f"Data set {name!r} has no option {unknown[0]!r} with "
            f"backend_native={form!r}. It takes: {', '.join(allowed)}"
        )
    return options, of_form


def _tf_dataset(
    recipe: Recipe,
    split: str,
    data_dir: str | os.PathLike | None,
    batch_size: int | None,
    shuffle: bool,
    seed: int = 0,
    cache_dir: str | os.PathLike | None = None,
):
    if batch_size is not None:
        checked_integer("batch_size", batch_size)
    # Not above: TensorFlow Datasets is optional.
    from keras_mtl.datasets.prepared import prepared_builder

    builder = prepared_builder(recipe, data_dir, cache_dir, "tfrecord")
    dataset = builder.as_dataset(split=split, as_supervised=True)
    if shuffle:
        dataset = dataset.shuffle(SHUFFLE_BUFFER, seed=seed)
    if batch_size is not None:
        dataset = dataset.batch(batch_size)
    return dataset.prefetch(2)
