"""Trains the demo's model with every strategy and seed."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_mtl.datasets import multi_digits
from keras_mtl.demo.model import build_model
from keras_mtl.demo.model import compile_model
from keras_mtl.demo.probe import EpochProbe
from keras_mtl.demo.probe import count_conflicts


@dataclasses.dataclass
class Settings:
    """What the demo does; every strategy gets the same.

    Args:
        strategies: Names of the strategies to compare.
        seeds: Number of seeds: 0, 1, ... Each decides the initial weights and
            the order of the batches. The images are the same for all.
        epochs: Number of epochs.
        num_train: Number of training images.
        num_test: Number of test images.
        batch_size: Images per step.
        learning_rate: Adam's step size.
        probed: Number of training batches, after every epoch, on which
            conflicts are counted.
    """

    strategies: tuple[str, ...] = ("ew", "db_mtl", "fs_mtl")
    seeds: int = 2
    epochs: int = 10
    num_train: int = 3000
    num_test: int = 2000
    batch_size: int = 100
    learning_rate: float = 5e-3
    probed: int = 5

    def quick(self) -> "Settings":
        """Returns settings that only show that everything works."""
        return dataclasses.replace(
            self, seeds=1, epochs=2, num_train=400, num_test=200, probed=2
        )


def run(
    settings: Settings, progress: Callable[[str, int, int], None]
) -> list[dict[str, Any]]:
    """Trains once for every seed and strategy.

    Args:
        settings: What to do.
        progress: Called with strategy, seed and epoch after every epoch.

    Returns:
        A dictionary for each run: strategy, seed, the final measurements, and
        their history by epoch.
    """
    train, test = multi_digits(settings.num_train, settings.num_test)
    return [
        train_once(settings, strategy, seed, train, test, progress)
        for seed in range(settings.seeds)
        for strategy in settings.strategies
    ]


def train_once(
    settings: Settings,
    strategy: str,
    seed: int,
    train: tuple[np.ndarray, dict[str, np.ndarray]],
    test: tuple[np.ndarray, dict[str, np.ndarray]],
    progress: Callable[[str, int, int], None],
) -> dict[str, Any]:
    """Trains one model and returns what was measured."""
    keras.utils.set_random_seed(seed)
    model = build_model()
    compile_model(model, strategy, settings.learning_rate)
    history: list[dict[str, float]] = []

    def after_epoch(logs, seconds):
        # Not `validation_data`: Keras would count it as part of the epoch.
        tested = model.evaluate(
            *test, batch_size=500, verbose=0, return_dict=True
        )
        history.append(
            {
                **logs,
                **{f"val_{name}": float(tested[name]) for name in tested},
                "conflict_ratio": conflict_ratio(
                    model, *train, settings, len(history)
                ),
                "seconds": seconds,
            }
        )
        progress(strategy, seed, len(history))

    model.fit(
        *train,
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        verbose=0,
        callbacks=[EpochProbe(after_epoch)],
    )
    return summarize(strategy, seed, model.tasks, history)


def conflict_ratio(
    model: Any,
    x: np.ndarray,
    y: dict[str, np.ndarray],
    settings: Settings,
    epoch: int,
) -> float:
    """Probes other training batches after every epoch."""
    size = settings.batch_size
    batches = [
        np.arange(start, start + size) % len(x)
        for start in size
        * (epoch * settings.probed + np.arange(settings.probed))
    ]
    return count_conflicts(model, x, y, batches) / len(batches)


def summarize(
    strategy: str,
    seed: int,
    tasks: list[str],
    history: list[dict[str, float]],
) -> dict[str, Any]:
    """Returns the measurements of a run.

    For accuracy and loss the last epoch counts, not the best one on the test
    images. Conflicts are counted over the whole run. The first epoch, which
    includes compilation, is left out of the time if there are others.
    """
    last = history[-1]
    accuracy = {task: last[f"val_{task}_accuracy"] for task in tasks}
    seconds = [epoch["seconds"] for epoch in history]
    return {
        "strategy": strategy,
        "seed": seed,
        "accuracy": accuracy,
        "mean_accuracy": float(np.mean(list(accuracy.values()))),
        "test_loss": sum(last[f"val_{task}_loss"] for task in tasks),
        "train_loss": sum(last[f"{task}_loss"] for task in tasks),
        "conflict_ratio": float(
            np.mean([epoch["conflict_ratio"] for epoch in history])
        ),
        "seconds_per_epoch": float(np.median(seconds[1:] or seconds)),
        "history": history,
    }
