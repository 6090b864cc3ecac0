"""Trains with two replicas, and writes what each of them ends with.

`python -m training.replicas_child KIND FOLDER RANK NAME...`, on the backend
that `KERAS_BACKEND` names. Files are called after strategies and replicas.
"""

import os
import sys
from pathlib import Path

import numpy as np

REPLICAS = 2


def main():
    kind, folder, rank, *names = sys.argv[1:]
    run = {
        "torch": run_on_torch,
        "tensorflow": run_on_tensorflow,
        "jax": run_on_jax,
        "jax_processes": run_on_jax_in_processes,
        "divided_model": run_on_jax_with_a_divided_model,
    }
    run[kind](Path(folder), int(rank), names)


def run_on_torch(folder, rank, names):
    """One of two processes of torch.distributed."""
    import torch

    from training import replicas
    from training import toy

    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder / 'rendezvous'}",
        rank=rank,
        world_size=REPLICAS,
    )
    for name in names:
        # Weights of its own: those of the first process count.
        model = replicas.fitted(name, rank, REPLICAS, seed=3 + rank)
        save(folder, name, rank, toy.arrays(replicas.variables(model)))
        if rank == 0:
            save_model(folder, name, model)
    torch.distributed.destroy_process_group()


def run_on_tensorflow(folder, rank, names):
    """Two virtual devices."""
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * REPLICAS
    )
    from training import replicas

    # One for all: collective operations are numbered by process.
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for name in names:
        with strategy.scope():
            model = replicas.fitted(name)
        for replica in range(REPLICAS):
            values = [
                strategy.experimental_local_results(variable.value)[replica]
                for variable in replicas.variables(model)
            ]
            save(folder, name, replica, [value.numpy() for value in values])
        save_model(folder, name, model)


def run_on_jax(folder, rank, names):
    """Two virtual devices, one with a half of each batch."""
    import jax
    import keras

    from training import replicas

    devices = [f"cpu:{device.id}" for device in jax.devices()]
    assert len(devices) == REPLICAS, devices
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(devices=devices)
    )
    for name in names:
        model = replicas.fitted(name)
        for replica in range(REPLICAS):
            values = [
                variable.value.addressable_shards[replica].data
                for variable in replicas.variables(model)
            ]
            save(folder, name, replica, [np.asarray(v) for v in values])
        save_model(folder, name, model)


def run_on_jax_in_processes(folder, rank, names):
    """One of two processes with a device each."""
    import keras

    keras.distribution.initialize(
        os.environ["REPLICAS_ADDRESS"], REPLICAS, rank
    )
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(auto_shard_dataset=False)
    )
    from training import replicas

    for name in names:
        model = replicas.fitted(name, rank, REPLICAS)
        values = [
            variable.value.addressable_shards[0].data
            for variable in replicas.variables(model)
        ]
        save(folder, name, rank, [np.asarray(value) for value in values])


def run_on_jax_with_a_divided_model(folder, rank, names):
    """Two virtual devices, one with a half of each feature of the trunk."""
    import jax
    import keras

    from training import replicas
    from training import toy

    distribution = keras.distribution
    devices = [f"cpu:{device.id}" for device in jax.devices()]
    mesh = distribution.DeviceMesh((1, REPLICAS), ["batch", "model"], devices)
    layout = distribution.LayoutMap(mesh)
    layout[".*trunk/kernel"] = (None, "model")
    layout[".*trunk/bias"] = ("model",)
    distribution.set_distribution(
        distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")
    )
    for name in names:
        model = replicas.fitted(name)
        kernel = model.get_layer("trunk").kernel.value
        assert not kernel.sharding.is_fully_replicated
        save(folder, name, 0, toy.arrays(replicas.variables(model)))


def save(folder, name, replica, arrays):
    np.savez(folder / f"{Path(name).stem}-{replica}.npz", *arrays)


def save_model(folder, name, model):
    model.save(folder / f"{Path(name).stem}-model.keras")


if __name__ == "__main__":
    main()
