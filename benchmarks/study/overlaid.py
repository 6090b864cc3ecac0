"""Two overlaid images: two classifications of the same input."""

import keras

from benchmarks.study.experiment import Settings
from benchmarks.study.problem import NUM_CLASSES
from benchmarks.study.problem import Data
from benchmarks.study.problem import Problem
from benchmarks.study.problem import cross_entropy
from benchmarks.study.problem import divided
from benchmarks.study.problem import judge_classes
from benchmarks.study.problem import lenet
from keras_mtl import MultiTaskModel
from keras_mtl import datasets

DATASETS = ("multi_mnist", "multi_fashion", "multi_fashion_mnist")
TASKS = ("left", "right")


def make_problem(
    dataset: str, settings: Settings, seed: int, data_dir: str | None
) -> Problem:
    """Returns the problem with the pairs of a seed."""

    def load(split: str) -> Data:
        return datasets.load(
            dataset,
            split,
            data_dir=data_dir,
            num_train=settings.num_train + settings.num_validation,
            num_test=settings.num_test,
            seed=seed,
        )

    train, validation = divided(load("train"), settings.num_train)
    return Problem(
        build=build,
        losses={task: cross_entropy() for task in TASKS},
        judge=judge_classes,
        train=train,
        validation=validation,
        test=load("test"),
    )


def build() -> MultiTaskModel:
    """Returns LeNet with a classifier per task."""
    return MultiTaskModel(
        trunk=lenet(36),
        heads={
            task: keras.layers.Dense(NUM_CLASSES, name=task) for task in TASKS
        },
    )
