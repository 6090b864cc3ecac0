"""Census-income: three binary tasks on people."""

import os

import numpy as np

from keras_mtl.datasets.recipes import read_arrays
from keras_mtl.export import keras_mtl_export


@keras_mtl_export("keras_mtl.datasets.census_income")
def census_income(
    split: str = "train",
    *,
    data_dir: str | os.PathLike | None = None,
    standardize: bool = True,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Reads Census-Income (KDD): 299,285 people, three binary tasks.

    The original files; the message that says so without them has the address.
    With `backend_native="tf"`, `keras_mtl.datasets.load` has TensorFlow
    Datasets download them.

    The columns of the tasks and the weight of a person in the survey are no
    inputs. `?` and `Not in universe` are categories as all others.

    Args:
        split: `"train"`, 199,523 people, or `"test"`. Defaults to `"train"`.
        data_dir: Folder with the folder `census_income`, with
            `census-income.data` and `census-income.test`, with `.gz` behind
            it or not, or with `census.tar.gz`.
        standardize: Whether the mean of the training set is taken off the
            amounts, and they are divided by its standard deviation. Defaults
            to `True`.

    Returns:
        `(x, y)`: a dict of `"amounts"`, float32, `(n, 7)`, and
        `"categories"`, int32, `(n, 31)`: numbers of values, each used in one
        column alone, so that one embedding serves all; 0 for what the
        training set does not have. And float32 labels `(n, 1)`, 0 or 1, by
        task: `income` (more than 50,000 dollars), `never_married` and
        `education` (at least some college).

    Raises:
        FileNotFoundError: If files are missing.
        ValueError: If a file is not as it should be.

    Example:

    ```python
    # x, y = keras_mtl.datasets.census_income("test", data_dir="data")
    ```

    References:
        - T. Lane and R. Kohavi, Census-Income (KDD), UCI Machine Learning
            Repository, 2000, https://doi.org/10.24432/C5N30T.
        - J. Ma et al., Modeling Task Relationships in Multi-task Learning
            with Multi-gate Mixture-of-Experts, KDD 2018, whose pairs of tasks
            are income or education, and whether someone never married.
    """
    return read_arrays(
        "census_income", split, data_dir, standardize=standardize
    )
