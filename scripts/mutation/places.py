"""What is mutated, and the tests that are to notice."""

from pathlib import Path

ROOT = Path(__file__).parents[2]

#: By place: patterns of its files.
PLACES = {
    "aggregators": ("keras_mtl/aggregators/[!_]*.py",),
    "solvers": ("keras_mtl/solvers/[!_]*.py",),
    "step": (
        "keras_mtl/gradients/[!_]*.py",
        "keras_mtl/training/[!_]*.py",
        "keras_mtl/flatness/[!_]*.py",
        "keras_mtl/strategies/accumulation.py",
        "keras_mtl/strategies/sharing.py",
        "keras_mtl/strategies/strategy.py",
        "keras_mtl/strategies/updates/[!_]*.py",
    ),
}

TESTS = (
    "tests/aggregators",
    "tests/callbacks/test_task_monitor.py",
    "tests/docs/test_defaults.py",
    "tests/golden",
    "tests/solvers",
    "tests/training",
)

#: Of these, what starts processes of its own or is about other code.
LEFT_OUT = (
    "tests/training/test_backends_agree.py",
    "tests/training/test_random_faults.py",
    "tests/training/test_replicas.py",
    "tests/training/test_resume.py",
    "tests/training/test_state.py",
)

#: Of each aggregator, what others test too and takes most of the time.
KEYWORDS = "not graph_equals_eager and not finite_in_a_graph"


def files_of(place: str) -> list[str]:
    """Returns the paths of a place's files, from the root, in order."""
    return sorted(
        path.relative_to(ROOT).as_posix()
        for pattern in PLACES[place]
        for path in ROOT.glob(pattern)
    )
