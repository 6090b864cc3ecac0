"""The wine data of scikit-learn, in every form that a user may return."""

import keras
import numpy as np
from sklearn.datasets import load_wine

import keras_mtl
from keras_mtl.comparison import Problem

BATCH_SIZE = 16

#: Weights of the models at the ends of their trainings.
kept = []


class KeepWeights(keras.callbacks.Callback):
    def on_train_end(self, logs=None):
        kept.append([np.array(it) for it in self.model.get_weights()])


def callbacks():
    # Which goes back to the first epoch.
    stop = keras.callbacks.EarlyStopping(
        "val_kind_accuracy",
        mode="min",
        patience=1,
        restore_best_weights=True,
        start_from_epoch=0,
    )
    return [stop, KeepWeights()]


def parts():
    """Training, test and validation examples, with sample weights."""
    bunch = load_wine()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    x = (bunch.data - bunch.data.mean(0)) / bunch.data.std(0)
    x, target = x[order].astype("float32"), bunch.target[order]
    y = {"kind": target, "alcohol": x[:, :1]}
    weights = {
        "kind": np.where(target == 1, 2.0, 0.5).astype("float32"),
        # Of some there is no label.
        "alcohol": (np.arange(len(target)) % 3 > 0).astype("float32"),
    }

    def rows(start, stop):
        return (
            x[start:stop, 1:],
            {task: it[start:stop] for task, it in y.items()},
            {task: it[start:stop] for task, it in weights.items()},
        )

    return rows(0, 96), rows(96, 136), rows(136, 178)


class Batches(keras.utils.PyDataset):
    def __init__(self, part, shuffle):
        super().__init__()
        self.part, self.shuffle = part, shuffle
        self.order = np.arange(len(part[0]))
        self.on_epoch_end()

    def on_epoch_end(self):
        if self.shuffle:
            np.random.shuffle(self.order)

    def __len__(self):
        return -(-len(self.order) // BATCH_SIZE)

    def __getitem__(self, index):
        rows = self.order[index * BATCH_SIZE : (index + 1) * BATCH_SIZE]
        return keras.tree.map_structure(lambda it: it[rows], self.part)


def tf_data(part, shuffle):
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(part)
    if shuffle:
        dataset = dataset.shuffle(len(part[0]))
    return dataset.batch(BATCH_SIZE)


def filtered(part, shuffle):
    """Whose length is not known."""
    return tf_data(part, shuffle).filter(lambda x, y, weights: True)


def data_loader(part, shuffle):
    import torch

    x, y, weights = part
    rows = [
        (
            x[row],
            {task: it[row] for task, it in y.items()},
            {task: it[row] for task, it in weights.items()},
        )
        for row in range(len(x))
    ]
    return torch.utils.data.DataLoader(rows, BATCH_SIZE, shuffle=shuffle)


def arrays(part, shuffle):
    return part


FORMS = {
    "arrays": arrays,
    "data_loader": data_loader,
    "filtered": filtered,
    "py_dataset": Batches,
    "tf_data": tf_data,
}


def load(form="arrays", validation=True, version="1"):
    train, test, held = parts()
    make = FORMS[form]
    return Problem(
        train=make(train, True),
        test=make(test, False),
        validation=make(held, False) if validation else None,
        callbacks=callbacks if validation else None,
        name="wine",
        version=version,
    )


class StopKind(keras.callbacks.Callback):
    """Stops the model of one task after an epoch."""

    def on_epoch_end(self, epoch, logs=None):
        if self.model.tasks == ["kind"]:
            self.model.stop_training = True


def load_stopped():
    train, test, held = parts()
    return Problem(train, test, held, callbacks=lambda: [StopKind()])


def load_triples():
    return parts()[:2]


def load_limited(limit=None):
    """Counts what it makes."""
    train, test, _ = parts()
    made.append(limit)
    return tuple(
        keras.tree.map_structure(lambda it: it[:limit], part)
        for part in (train, test)
    )


made = []


def build(units=8):
    inputs = keras.Input((12,))
    features = keras.layers.Dense(units, activation="tanh")(inputs)
    features = keras.layers.Dropout(0.1)(features)
    model = keras_mtl.MultiTaskModel(
        inputs,
        {
            "kind": keras.layers.Dense(3, activation="softmax")(features),
            "alcohol": keras.layers.Dense(1)(features),
        },
    )
    model.compile(
        keras.optimizers.Adam(0.01),
        {"kind": "sparse_categorical_crossentropy", "alcohol": "mse"},
        metrics={"kind": ["accuracy"]},
        weighted_metrics={"alcohol": ["mae"]},
    )
    return model
