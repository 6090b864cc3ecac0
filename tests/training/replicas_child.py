"""Trains with several replicas, and writes what each of them ends with.

`python -m training.replicas_child KIND FOLDER COUNT RANK NAME...`, on the
backend that `KERAS_BACKEND` names, for one of the processes that have COUNT
replicas together. Files are called after strategies and replicas.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest


def main():
    kind, folder, count, rank, *names = sys.argv[1:]
    run = {
        "torch": run_on_torch,
        "tensorflow": run_on_tensorflow,
        "tensorflow_processes": run_on_tensorflow_in_processes,
        "tensorflow_refused": run_on_refused_tensorflow,
        "jax": run_on_jax,
        "jax_processes": run_on_jax_in_processes,
        "divided_model": run_on_jax_with_a_divided_model,
    }
    run[kind](Path(folder), int(count), int(rank), names)


def run_on_torch(folder, count, rank, names):
    """One of two processes of torch.distributed."""
    import torch

    from training import replicas
    from training import toy

    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder / 'rendezvous'}",
        rank=rank,
        world_size=count,
    )
    for name in names:
        # Weights of its own: those of the first process count.
        model = replicas.fitted(name, rank, count, seed=3 + rank)
        save(folder, name, rank, toy.arrays(replicas.variables(model)))
        if rank == 0:
            save_model(folder, name, model)
    count_what_is_sent(folder, count, rank)
    torch.distributed.destroy_process_group()


def count_what_is_sent(folder, count, rank):
    """Writes how many numbers each call of `all_reduce` of one step has."""
    import torch

    from training import replicas

    sent = []
    all_reduce = torch.distributed.all_reduce

    def counting(tensor, *args, **kwargs):
        sent.append(tensor.numel())
        return all_reduce(tensor, *args, **kwargs)

    torch.distributed.all_reduce = counting
    for name in replicas.COUNTED:
        model = replicas.model_of_three_tasks(name)
        for _ in range(2):
            sent.clear()
            replicas.step_of_three_tasks(model, rank, count)
        save(folder, name, f"sent-{rank}", [np.array(sent)])


def run_on_tensorflow(folder, count, rank, names):
    """Virtual devices."""
    import tensorflow as tf

    divide_cpu(count)
    from training import replicas

    # One for all: collective operations are numbered by process.
    strategy = tf.distribute.MirroredStrategy(
        [f"CPU:{replica}" for replica in range(count)]
    )
    for name in names:
        model = replicas.fitted(name, scope=strategy.scope())
        for replica in range(count):
            values = [
                strategy.experimental_local_results(variable.value)[replica]
                for variable in replicas.variables(model)
            ]
            save(folder, name, replica, [value.numpy() for value in values])
        if name in replicas.EVALUATED:
            save(folder, name, "losses", [replicas.losses(model)])
        save_model(folder, name, model)


def divide_cpu(count):
    """Makes as many devices of TensorFlow of it."""
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * count
    )


def run_on_tensorflow_in_processes(folder, count, rank, names):
    """One of several workers with a device each."""
    os.environ["TF_CONFIG"] = json.dumps(
        {
            "cluster": {"worker": os.environ["REPLICAS_ADDRESSES"].split(",")},
            "task": {"type": "worker", "index": rank},
        }
    )
    import keras
    import tensorflow as tf

    # Before any other operation.
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    assert strategy.num_replicas_in_sync == count
    from training import replicas
    from training import toy

    for name in names:
        callbacks = []
        if rank == 0:
            # It must not wait for others, which save nothing.
            path = folder / f"{Path(name).stem}-model.keras"
            callbacks = [keras.callbacks.ModelCheckpoint(path)]
        # Weights of its own: those of the first worker count.
        model = replicas.fitted(
            name, seed=3 + rank, scope=strategy.scope(), callbacks=callbacks
        )
        save(folder, name, rank, toy.arrays(replicas.variables(model)))
        if name in replicas.EVALUATED:
            x, _ = toy.data(3 * replicas.BATCH, seed=1)
            outputs = model.predict(x, batch_size=replicas.BATCH, verbose=0)
            results = [replicas.losses(model), *outputs.values()]
            save(folder, name, f"results-{rank}", results)
            step = replicas.after_a_batch(model, rank, count)
            save(folder, name, f"step-{rank}", step)


def run_on_refused_tensorflow(folder, count, rank, names):
    """One copy of the weights for several devices, and steps that branch."""
    import tensorflow as tf

    divide_cpu(count)
    import keras_mtl
    from training import toy

    strategy = tf.distribute.experimental.CentralStorageStrategy(
        [f"CPU:{replica}" for replica in range(count)], "CPU:0"
    )
    with strategy.scope():
        model = toy.compiled(toy.make_model())
        before = toy.snapshot(model)
        for train in (
            lambda: model.fit(*toy.data(), strategy="mgda", verbose=0),
            lambda: toy.compiled(model, "mgda"),
        ):
            with pytest.raises(ValueError, match="CentralStorageStrategy"):
                train()
            assert model.strategy is None
            toy.assert_same(toy.snapshot(model), before)
    every_other = keras_mtl.Strategy(aggregator="mgda", update_every=2)
    with tf.distribute.MirroredStrategy(
        [f"CPU:{replica}" for replica in range(count)]
    ).scope():
        model = toy.compiled(toy.make_model())
        before = toy.snapshot(model)
        with pytest.raises(ValueError, match="update_every=1"):
            model.fit(*toy.data(), strategy=every_other, verbose=0)
        toy.assert_same(toy.snapshot(model), before)


def run_on_jax(folder, count, rank, names):
    """Virtual devices, each with a part of each batch."""
    import jax
    import keras

    from training import replicas

    devices = [f"cpu:{device.id}" for device in jax.devices()]
    assert len(devices) == count, devices
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(devices=devices)
    )
    for name in names:
        model = replicas.fitted(name)
        for replica in range(count):
            values = [
                variable.value.addressable_shards[replica].data
                for variable in replicas.variables(model)
            ]
            save(folder, name, replica, [np.asarray(v) for v in values])
        if name in replicas.EVALUATED:
            save(folder, name, "losses", [replicas.losses(model)])
        save_model(folder, name, model)


def run_on_jax_in_processes(folder, count, rank, names):
    """One of two processes with a device each."""
    import keras

    address, *_ = os.environ["REPLICAS_ADDRESSES"].split(",")
    keras.distribution.initialize(address, count, rank)
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(auto_shard_dataset=False)
    )
    from training import replicas

    for name in names:
        model = replicas.fitted(name, rank, count)
        values = [
            variable.value.addressable_shards[0].data
            for variable in replicas.variables(model)
        ]
        save(folder, name, rank, [np.asarray(value) for value in values])


def run_on_jax_with_a_divided_model(folder, count, rank, names):
    """Virtual devices with a part of each batch and of the trunk's features.

    The first of `names` is the number of parts of the trunk.
    """
    import jax
    import keras

    from training import replicas

    parts, *names = names
    shape = (count // int(parts), int(parts))
    distribution = keras.distribution
    devices = [f"cpu:{device.id}" for device in jax.devices()]
    mesh = distribution.DeviceMesh(shape, ["batch", "model"], devices)
    layout = distribution.LayoutMap(mesh)
    layout[".*trunk/kernel"] = (None, "model")
    layout[".*trunk/bias"] = ("model",)
    distribution.set_distribution(
        distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")
    )
    for name in names:
        model = replicas.fitted(name)
        kernel = model.get_layer("trunk").kernel.value
        assert (
            len({str(s.index) for s in kernel.addressable_shards}) == shape[1]
        )
        copies = [
            copies_of(variable.value) for variable in replicas.variables(model)
        ]
        for replica in range(count):
            save(folder, name, replica, [c[replica % len(c)] for c in copies])


def copies_of(value):
    """Returns all copies of a divided array that the devices have together."""
    shards = {}
    for shard in value.addressable_shards:
        shards.setdefault(str(shard.index), []).append(shard)
    copies = []
    for parts in zip(*shards.values(), strict=True):
        copy = np.empty(value.shape, value.dtype)
        for shard in parts:
            copy[shard.index] = shard.data
        copies.append(copy)
    return copies


def save(folder, name, replica, arrays):
    np.savez(folder / f"{Path(name).stem}-{replica}.npz", *arrays)


def save_model(folder, name, model):
    model.save(folder / f"{Path(name).stem}-model.keras")


if __name__ == "__main__":
    main()
