"""Every kind of step that is timed, and what it is compared with."""

import importlib

import keras

import keras_mtl
from steps import networks

RHO = 0.05

PLAIN = "plain Keras"
GRADIENT_FLOOR = "floor: task gradients"
BATCHED_FLOOR = "floor: task gradients, batched"
FLAT_FLOOR = "floor: task gradients twice"

#: Name of a variant, its strategy, and its reference.
STRATEGIES = (
    ("EW", "ew", PLAIN),
    ("MGDA", "mgda", GRADIENT_FLOOR),
    ("DB-MTL", "db_mtl", GRADIENT_FLOOR),
    ("FS-MTL (CAGrad)", "fs_mtl", FLAT_FLOOR),
)

REFERENCES = {
    BATCHED_FLOOR: GRADIENT_FLOOR,
    **{name: reference for name, _, reference in STRATEGIES},
}


def floor_module():
    """The hand-written loops of the backend in use."""
    return importlib.import_module(f"steps.floor_{keras.backend.backend()}")


def plain_model(problem):
    """A compiled model of plain Keras."""
    model = keras.Model(*problem.functional())
    model.compile(problem.optimizer(), loss=problem.losses)
    return model


def plain_step(problem):
    """Prepares a step of plain Keras."""
    return floor_module().trainer_step(plain_model(problem), problem)


def strategy_model(problem, strategy, check="never"):
    """A compiled model with a strategy."""
    model = keras_mtl.MultiTaskModel(*problem.functional())
    model.compile(
        problem.optimizer(),
        loss=problem.losses,
        strategy=strategy,
        check=check,
    )
    return model


def strategy_step(problem, strategy, watched=False):
    """Prepares a step of a strategy, which `TaskMonitor` may watch."""
    model = strategy_model(problem, strategy)
    model.watch_tasks(watched)
    return floor_module().trainer_step(model, problem)


def makers(network):
    """Returns, by name, functions that prepare a step of each variant."""
    floor = floor_module()
    problem = networks.fresh(networks.NETWORKS[network])

    def strategy(identifier):
        return lambda: strategy_step(problem(), identifier)

    return {
        PLAIN: lambda: plain_step(problem()),
        GRADIENT_FLOOR: lambda: floor.gradient_step(problem()),
        BATCHED_FLOOR: lambda: floor.gradient_step(problem(), batched=True),
        FLAT_FLOOR: lambda: floor.flat_step(problem(), RHO),
        **{name: strategy(given) for name, given, _ in STRATEGIES},
    }
