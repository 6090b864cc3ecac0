"""
Title: Income, marriage and education in a census
Author: The keras_mtl authors
Date created: 2026/12/01
Last modified: 2026/12/01
Description: MMoE on Census-Income, missing labels and class weights.
Accelerator: None
"""

"""
Does somebody earn more than 50,000 dollars? Has she never married? Has she been
to college? The answers depend on much the same things, and differ in how common
they are. [MMoE](https://doi.org/10.1145/3219819.3220007) was shown on these
three tasks of the *Census-Income (KDD)* data of the UCI Machine Learning
Repository. To make it harder, seven of ten people are not asked for their
education here: labels of one task that are missing.

## Setup

`KERAS_BACKEND` selects the backend, `KERAS_MTL_FAST=1` makes everything
smaller, to see whether it runs. `KERAS_MTL_DATA` is a folder with the folder
`census_income`, with the
[original files](https://archive.ics.uci.edu/dataset/117/census+income+kdd).
"""

import os
import tempfile
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np

import keras_mtl

FAST = os.environ.get("KERAS_MTL_FAST") == "1"
ROWS = 300 if FAST else 20_000
EPOCHS = 2 if FAST else 8
BATCH_SIZE = 100 if FAST else 512
UNITS = 4 if FAST else 32
SHARE_ASKED = 0.3

TASKS = ["income", "never_married", "education"]

"""
## Data

Without the files, people are made up, in a file of the same 42 columns: what
is printed below is then about nobody, and says nothing about Census-Income.
Most columns of these people say nothing either.
"""


def made_up_lines(rows, seed):
    """Lines of people in whom age decides much, and school some of it."""
    generator = np.random.default_rng(seed)
    age = generator.integers(16, 80, rows)
    school = generator.normal(size=rows) + 0.02 * (age - 40)
    married = generator.normal(size=rows) + 0.06 * (age - 28) > 0
    weeks = np.clip(generator.normal(30 + 10 * school, 15), 0, 52).astype(int)
    score = 1.2 * school + 0.05 * (weeks - 30) + 0.5 * married - 2.2
    income = score + generator.logistic(size=rows) > 0
    sector = np.clip(2 + school + generator.normal(size=rows), 0, 4).astype(int)
    for row in range(rows):
        college = "Bachelors degree(BA AB BS)"
        parts = ["Not in universe"] * 42
        for place in (5, 16, 17, 18, 24, 30):
            # Amounts, and the weight of a person in the survey.
            parts[place] = "0"
        parts[0], parts[39] = str(age[row]), str(weeks[row])
        parts[4] = college if school[row] > 0.3 else "High school graduate"
        parts[7] = "Married" if married[row] else "Never married"
        parts[8] = f"Sector {sector[row]}"
        parts[41] = "50000+." if income[row] else "- 50000."
        yield ", ".join(parts)


data_dir = Path(os.environ.get("KERAS_MTL_DATA", "data"))
IS_REAL = (data_dir / "census_income").is_dir()
if not IS_REAL:
    print("There is no census_income in KERAS_MTL_DATA: people are made up.")
    data_dir = Path(tempfile.mkdtemp())
    (data_dir / "census_income").mkdir()
    for seed, end in enumerate(("data", "test")):
        path = data_dir / "census_income" / f"census-income.{end}"
        path.write_text("\n".join(made_up_lines(ROWS, seed)))

x_train, y_train = keras_mtl.datasets.load("census_income", data_dir=data_dir)
x_test, y_test = keras_mtl.datasets.load(
    "census_income", "test", data_dir=data_dir
)
for task in TASKS:
    print(
        f"{task:14} yes: {y_train[task].mean():.1%} of {len(y_train[task]):,}"
    )

"""
### Missing labels

A label that is NaN is missing: losses, gradients and metrics of that task leave
the row out.
"""

asked = np.random.default_rng(0).random(len(y_train["education"])) < SHARE_ASKED
y_train["education"][~asked] = np.nan
known = np.mean(~np.isnan(y_train["education"]))
print(f"{known:.0%} of the training rows have an education")

"""
### Class weights

Few people have the high income. `class_weight` of `fit` knows one output; for
several, weights of rows are given by task. Here both classes of a task have the
same sum of weights, and the mean weight is 1. AUC does not depend on them: the
metrics are not weighted.
"""


def balanced(labels):
    """Weights of rows by which both classes count the same."""
    share = np.nanmean(labels)
    weights = np.where(labels == 1, 0.5 / share, 0.5 / (1.0 - share))
    # A row without a label counts for nothing, whatever its weight.
    return np.where(np.isnan(labels), 1.0, weights).ravel().astype("float32")


sample_weight = {task: balanced(y_train[task]) for task in TASKS}

"""
## Model

All 31 categories share one embedding, for each number stands for a value of
one column; 0 is for what the training file does not have.
"""

NUM_CODES = int(x_train["categories"].max()) + 1


def make_model():
    keras.utils.set_random_seed(0)
    inputs = {
        "amounts": keras.Input((7,), name="amounts"),
        "categories": keras.Input((31,), dtype="int32", name="categories"),
    }
    codes = keras.layers.Embedding(NUM_CODES, 4)(inputs["categories"])
    x = keras.layers.Concatenate()(
        [inputs["amounts"], keras.layers.Flatten()(codes)]
    )
    expert = keras.Sequential(
        [
            keras.layers.Dense(2 * UNITS, activation="relu"),
            keras.layers.Dense(UNITS, activation="relu"),
        ]
    )
    features = keras_mtl.layers.MMoE(
        TASKS, expert=expert, num_experts=4, name="mmoe"
    )(x)
    outputs = {
        task: keras.layers.Dense(1, activation="sigmoid", name=task)(
            features[task]
        )
        for task in TASKS
    }
    model = keras_mtl.MultiTaskModel(inputs, outputs)
    model.compile(
        keras.optimizers.Adam(1e-3),
        loss=dict.fromkeys(TASKS, "binary_crossentropy"),
        metrics={task: [keras.metrics.AUC(name="auc")] for task in TASKS},
    )
    return model


"""
## Training
"""

histories = {}
for strategy in ("ew", "db_mtl"):
    model = make_model()
    histories[strategy] = model.fit(
        x_train,
        y_train,
        sample_weight=sample_weight,
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        validation_data=(x_test, y_test),
        strategy=strategy,
        verbose=0,
    )

keras_mtl.visualization.plot_losses(histories)

"""
Solid lines are weighted, dashed ones, of the test data, are not.

## Results
"""

print(f"{'test AUC':10}" + "".join(f"{task:>15}" for task in TASKS))
for strategy, history in histories.items():
    values = [history.history[f"val_{task}_auc"][-1] for task in TASKS]
    print(f"{strategy:10}" + "".join(f"{value:15.4f}" for value in values))

figure, axes = plt.subplots(figsize=(5, 2.4), layout="constrained")
for place, (strategy, history) in enumerate(histories.items()):
    values = [history.history[f"val_{task}_auc"][-1] for task in TASKS]
    axes.bar(np.arange(3) + 0.4 * place, values, width=0.35, label=strategy)
axes.set_xticks(np.arange(3) + 0.2, TASKS)
axes.set_ylabel("test AUC")
axes.legend(frameon=False)
plt.show()

"""
One seed and one learning rate tell little. `python -m keras_mtl compare` tunes
each strategy, takes several seeds, and says what is more than noise; its
strategy `single_task` would show whether the tasks help each other at all.
"""
