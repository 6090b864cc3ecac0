"""Files that older versions wrote."""

from pathlib import Path

import keras
import numpy as np
import pytest
from training import toy

from tests.data.version_0_1_0 import make

FOLDER = Path(make.__file__).parent


# JAX compiles with XLA, and the file says so.
@pytest.mark.filterwarnings("ignore:`jit_compile=True` is turned off")
@pytest.mark.every_case
@pytest.mark.parametrize("name", make.STRATEGIES)
def test_training_goes_on_from_a_file_of_0_1_0(name):
    model = keras.models.load_model(FOLDER / f"{name}.keras")
    with np.load(FOLDER / f"{name}.npz") as arrays:
        expected = list(arrays.values())
    # Of other processors and backends, the last digits differ.
    toy.assert_near(make.train(model), expected, rtol=1e-5, atol=1e-6)
