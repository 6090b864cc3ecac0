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


def plain_step(problem):
    """Prepares a step of plain Keras."""
    model = keras.Model(*problem.functional())
    model.compile(problem.optimizer(), loss=problem.losses)
    return floor_module().trainer_step(model, problem)


def strategy_step(problem, strategy, watched=False):
    """Prepares a step of a strategy, which `TaskMonitor` may watch."""
    model = keras_mtl.MultiTaskModel(*problem.functional())
    model.compile(problem.optimizer(), loss=problem.losses, strategy=strategy)
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
