"""What a training step on torch reads from the device: one number.

Where there is a GPU, each reading makes the host wait for it. On TensorFlow
and JAX the step is compiled as a whole, which leaves no place for one.
"""

import keras
import pytest

import keras_mtl
from training import toy

pytestmark = pytest.mark.skipif(
    toy.BACKEND != "torch", reason="the step is compiled"
)

#: They need something that this model or call does not have.
OTHERS = {
    "auto_lambda": "held-out data",
    "krum": "at least three tasks",
    "trimmed_mean": "at least three tasks",
}


def readings_of_a_step(model):
    """Returns how many numbers a step, not the first one, reads."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Readings(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
            if operator is torch.ops.aten._local_scalar_dense.default:
                self.count += 1
            return operator(*args, **(kwargs or {}))

    x, y = toy.first_batch()
    toy.step(model, x, y)
    x = torch.as_tensor(x)
    y = {task: torch.as_tensor(labels) for task, labels in y.items()}
    with Readings() as readings:
        model.train_step((x, y))
    return readings.count


def all_names():
    return [n for n in keras_mtl.strategies.names() if n not in OTHERS]


@pytest.mark.parametrize("name", all_names())
def test_one_reading(name):
    model = toy.make_model(dropout=0.3, batch_norm=True)
    # Keras's SGD reads its learning rate.
    toy.compiled(model, name, keras.optimizers.Adam(1e-3))
    # Whether all is finite. Gramians, for solvers on the host, are arrays.
    assert readings_of_a_step(model) == 1


@pytest.mark.parametrize("name", ["ew", "pcgrad", "fs_mtl", "grad_drop"])
def test_none_if_nothing_is_asked(name):
    model = toy.make_model()
    optimizer = keras.optimizers.Adam(1e-3)
    toy.compiled(model, name, optimizer, on_nonfinite="ignore")
    assert readings_of_a_step(model) == 0
