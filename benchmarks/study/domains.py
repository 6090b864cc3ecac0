"""Three domains, each with images of its own, and one with few labels."""

from typing import Any

import keras
import numpy as np

from benchmarks.study.experiment import Settings
from benchmarks.study.problem import NUM_CLASSES
from benchmarks.study.problem import Problem
from benchmarks.study.problem import cross_entropy
from benchmarks.study.problem import judge_classes
from benchmarks.study.problem import lenet
from keras_mtl import MultiTaskModel
from keras_mtl.datasets.overlaid_pairs import read_images

DATASETS = ("digits_and_clothing",)

#: The domain with few labels has this share of the others' images.
FEW = "scans"
SHARE_OF_FEW = 0.1
SIDE = 28

#: The scans of scikit-learn have 8 x 8 pixels of 0 to 16.
SCALE = 3
BRIGHTEST = 16.0


def make_problem(
    dataset: str, settings: Settings, seed: int, data_dir: str | None
) -> Problem:
    """Returns the problem with the images of a seed."""
    generator = np.random.default_rng(seed)
    parts = {
        "mnist": _from_files("mnist", data_dir),
        "fashion_mnist": _from_files("fashion_mnist", data_dir),
        FEW: _scans(),
    }
    split: dict[str, tuple[dict, dict]] = {
        name: ({}, {}) for name in ("train", "validation", "test")
    }
    for domain, (learn, test) in parts.items():
        share = SHARE_OF_FEW if domain == FEW else 1.0
        size = max(1, round(share * settings.num_train))
        rows = generator.permutation(len(learn[1]))
        chosen = {
            "train": _rows(learn, rows[:size]),
            "validation": _rows(
                learn, rows[size : size + settings.num_validation]
            ),
            "test": _rows(
                test, generator.permutation(len(test[1]))[: settings.num_test]
            ),
        }
        for name, (x, y) in chosen.items():
            split[name][0][domain] = x
            split[name][1][domain] = y
    return Problem(
        build=lambda: build(tuple(parts)),
        losses={domain: cross_entropy() for domain in parts},
        judge=judge_classes,
        **split,
    )


def build(domains: tuple[str, ...]) -> MultiTaskModel:
    """Returns LeNet with a classifier per domain."""
    return MultiTaskModel(
        trunk=lenet(SIDE),
        heads={
            domain: keras.layers.Dense(NUM_CLASSES, name=domain)
            for domain in domains
        },
        task_inputs=True,
    )


def _rows(data: Any, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return data[0][rows], data[1][rows]


def _from_files(name: str, data_dir: str | None) -> Any:
    parts = []
    for split in ("train", "test"):
        images, labels = read_images(name, split, data_dir)
        parts.append((images[..., None].astype("float32") / 255.0, labels))
    return parts


def _scans() -> Any:
    """Returns the digits of scikit-learn, two thirds to learn from."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "Experiment C has the digits of scikit-learn. Install it with "
            '`pip install "keras-mtl[datasets]"`.'
        ) from error
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8).astype("float32") / BRIGHTEST
    images = images.repeat(SCALE, axis=1).repeat(SCALE, axis=2)
    margin = (SIDE - images.shape[1]) // 2
    images = np.pad(images, [(0, 0), (margin, margin), (margin, margin)])
    # The file is in the order of its writers: no writer is in both parts.
    size = 2 * len(labels) // 3
    x, y = images[..., None], labels.astype("int32")
    return [(x[:size], y[:size]), (x[size:], y[size:])]
