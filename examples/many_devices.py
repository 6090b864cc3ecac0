"""The same training on all devices of this machine, on each backend.

Run with

- `python examples/many_devices.py` on TensorFlow and JAX, which take all GPUs
  that they see; with `TF_CONFIG` set, TensorFlow takes several processes;
- `torchrun --nproc-per-node 2 examples/many_devices.py` on torch, with a
  process for each GPU.

The weights end as they would on one device with the same batches.
"""

import contextlib
import os

import keras
import numpy as np

import keras_mtl

FAST = os.environ.get("KERAS_MTL_FAST") == "1"
EPOCHS = 1 if FAST else 4
IMAGES = 512 if FAST else 4096
BATCH = 64  # Of all devices together.


def on_jax():
    """JAX divides each batch that `fit` hands it."""
    keras.distribution.set_distribution(keras.distribution.DataParallel())
    return contextlib.nullcontext(), 0, 1


def on_tensorflow():
    """TensorFlow, too; the model is made within the scope."""
    import tensorflow as tf

    if "TF_CONFIG" in os.environ:
        return tf.distribute.MultiWorkerMirroredStrategy().scope(), 0, 1
    devices = tf.config.list_logical_devices()
    kind = "GPU" if any(d.device_type == "GPU" for d in devices) else "CPU"
    names = [device.name for device in devices if device.device_type == kind]
    return tf.distribute.MirroredStrategy(names).scope(), 0, 1


def on_torch():
    """Each process of torch has a part of the data of its own."""
    import torch

    torch.distributed.init_process_group()
    return (
        contextlib.nullcontext(),
        torch.distributed.get_rank(),
        torch.distributed.get_world_size(),
    )


def part(data, rank, count):
    """The samples of one process: the same number in each."""
    return data[rank::count][: len(data) // count]


def main():
    backend = keras.backend.backend()
    start = {"jax": on_jax, "tensorflow": on_tensorflow, "torch": on_torch}
    scope, rank, count = start[backend]()
    keras.utils.set_random_seed(0)
    (x, y), test = keras_mtl.datasets.multi_digits(IMAGES)
    x = part(x, rank, count)
    y = {task: part(labels, rank, count) for task, labels in y.items()}
    with scope:
        images = keras.Input((20, 20, 1))
        features = keras.layers.Flatten()(images)
        features = keras.layers.Dense(64, activation="relu")(features)
        model = keras_mtl.MultiTaskModel(
            images,
            {
                task: keras.layers.Dense(10, activation="softmax")(features)
                for task in ("left", "right")
            },
        )
        model.compile(
            keras.optimizers.Adam(0.003),
            dict.fromkeys(model.tasks, "sparse_categorical_crossentropy"),
            metrics=dict.fromkeys(model.tasks, ["accuracy"]),
            strategy="db_mtl",
        )
    model.fit(x, y, batch_size=BATCH // count, epochs=EPOCHS, verbose=0)
    results = model.evaluate(*test, verbose=0, return_dict=True)
    checksum = sum(np.abs(weights).sum() for weights in model.get_weights())
    if rank == 0:
        print(f"left accuracy {results['left_accuracy']:.3f}")
        print(f"right accuracy {results['right_accuracy']:.3f}")
    print(f"process {rank} of {count}: weights add up to {checksum:.6f}")


if __name__ == "__main__":
    main()
