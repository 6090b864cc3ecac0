"""Which data sets there are."""

from keras_mtl.datasets.recipes import RECIPES
from keras_mtl.export import keras_mtl_export


@keras_mtl_export("keras_mtl.datasets.names")
def names() -> tuple[str, ...]:
    """Returns the names of all data sets that `load` knows.

    Example:

    ```python
    "multi_mnist" in keras_mtl.datasets.names()  # True
    ```
    """
    return tuple(sorted(RECIPES))
