"""Data and model for `python -m keras_mtl compare`: Adult census, three tasks.

`adult.data` and `adult.test` of [Adult](https://archive.ics.uci.edu/dataset/2)
(CC BY 4.0, 48,842 rows) are read from the current folder. Beside them:

    python -m keras_mtl compare --model census:build --dataset census:load_data
        --strategies ew,pcgrad,db_mtl --seeds 3 --epochs 5 --batch-size 512
        --objective test_mean_auc

People count by their weights in the census; of seven in ten it is not told
whether they have a degree.
"""

from pathlib import Path

import keras
import numpy as np

import keras_mtl

TASKS = ["income", "single", "degree"]


def load_data():
    files = [Path("adult.data"), Path("adult.test")]
    lines = "\n".join(it.read_text() for it in files).splitlines()
    table = np.array([it.split(", ") for it in lines if "," in it])
    numbers = table[:, [0, 10, 11, 12]].astype("float32")
    words = [table[:, [i]] == np.unique(table[:, i]) for i in (1, 6, 8, 9, 13)]
    x = np.hstack([(numbers - numbers.mean(0)) / numbers.std(0), *words])
    y = {
        "income": np.char.startswith(table[:, 14], ">") * 1.0,
        "single": (table[:, 5] == "Never-married") * 1.0,
        "degree": (table[:, 4].astype(int) > 12) * 1.0,
    }
    y["degree"][np.arange(len(x)) % 10 < 7] = np.nan
    weights = dict.fromkeys(TASKS, table[:, 2].astype("float32") / 2e5)

    def part(start, stop):
        everything = x, y, weights
        return keras.tree.map_structure(lambda it: it[start:stop], everything)

    return keras_mtl.comparison.Problem(
        part(0, 30_000), part(36_000, None), validation=part(30_000, 36_000)
    )


def build(experts=4):
    inputs = keras.Input((77,))
    expert = keras.layers.Dense(32, activation="relu")
    mixed = keras_mtl.layers.MMoE(TASKS, expert, experts)(inputs)
    head = {it: keras.layers.Dense(1, activation="sigmoid") for it in TASKS}
    outputs = {task: head[task](mixed[task]) for task in TASKS}
    model = keras_mtl.MultiTaskModel(inputs, outputs)
    auc = {task: [keras.metrics.AUC(name="auc")] for task in TASKS}
    model.compile("adam", "binary_crossentropy", weighted_metrics=auc)
    return model
