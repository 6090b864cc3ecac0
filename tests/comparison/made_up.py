"""Results that nobody has measured."""

from keras_mtl.comparison.summary import summarize


def identity(**changes):
    """What a worker says of its model and data."""
    return {
        "tasks": ["left", "right"],
        "parameters": 12345,
        "shapes": "0123456789abcdef",
        "model": "123456789abcdef0",
        "num_train": 32,
        "num_test": 16,
        "data": "23456789abcdef01",
        **changes,
    }


def record(backend, strategy, seed, accuracies, tasks=("left", "right")):
    """A run in which the first task's accuracies are these."""
    first, second = tasks
    history = [
        {
            "loss": accuracy,
            f"{first}_loss": 0.25,
            "conflict_ratio": accuracy,
            "val_loss": 1.0 + accuracy,
            f"val_{first}_accuracy": accuracy,
            f"val_{second}_accuracy": accuracy + 0.1,
        }
        for accuracy in accuracies
    ]
    return {
        "backend": backend,
        "strategy": strategy,
        "seed": seed,
        "status": "finished",
        "message": None,
        **identity(tasks=list(tasks)),
        "steps_per_epoch": 4,
        "history": history,
        "cosines": [[1.0, -0.25], [-0.25, 1.0]],
        "seconds": {
            "epochs": [9.0, 1.0],
            "per_epoch": 1.0 + len(strategy),
            "per_step": 0.25,
        },
    }


def document(strategies=("ew", "mgda"), tasks=("left", "right")):
    """What results.json could say."""
    backends = ("jax", "torch")
    runs = [
        record(
            backend,
            strategy,
            seed,
            [0.3 + 0.1 * seed, 0.6 - 0.1 * seed + 0.02 * index],
            tasks,
        )
        for backend in backends
        for index, strategy in enumerate(strategies)
        for seed in range(2)
    ]
    return {
        "schema": 1,
        "settings": {
            "backends": backends,
            "strategies": strategies,
            "dataset": "multi_digits",
            "model": None,
            "seeds": 3,
            "epochs": 2,
            "agreement_steps": 10,
        },
        "versions": {backend: {backend: "1.0"} for backend in backends},
        "summary": summarize(runs),
        "agreement": [
            {
                "strategy": strategy,
                "backends": list(backends),
                "difference": 1.5e-8,
                "movement": 0.01,
            }
            for strategy in strategies
        ],
        "runs": runs,
        "missing": [
            {
                "backend": "jax",
                "strategy": strategies[0],
                "seed": 2,
                "message": "It <b>failed</b>.",
            }
        ],
    }
