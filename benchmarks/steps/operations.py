"""Where the time of a step goes, operation by operation."""

import importlib

import keras

from steps import table

WARM_UP = 3


def print_operations(title, makers, rounds, most=14):
    """Prints how many ms of a step each operation takes, step beside step.

    Args:
        title: What stands above the table.
        makers: Functions that prepare a step, by the name of its column.
        rounds: Steps over which times are averaged.
        most: Operations that have a row; the others share one.
    """
    columns = {
        name: times_by_operation(make(), rounds)
        for name, make in makers.items()
    }
    operations = sorted(
        set().union(*columns.values()),
        key=lambda name: -max(it.get(name, 0) for it in columns.values()),
    )
    lines = [["ms of a step", *columns]]
    lines += [
        [name, *(f"{it.get(name, 0):.2f}" for it in columns.values())]
        for name in operations[:most]
    ]
    others = [
        sum(it.get(name, 0) for name in operations[most:])
        for it in columns.values()
    ]
    totals = [sum(it.values()) for it in columns.values()]
    lines.append(["other operations", *(f"{it:.2f}" for it in others)])
    lines.append(["sum", *(f"{it:.2f}" for it in totals)])
    print(f"\n### {title}, operations of {rounds} steps\n")
    print(table.aligned(lines), flush=True)


def times_by_operation(step, rounds):
    """Returns the ms of a step that each operation takes by itself."""
    for _ in range(WARM_UP):
        step()

    def steps():
        for _ in range(rounds):
            step()

    profiler = importlib.import_module(
        f"steps.profile_{keras.backend.backend()}"
    )
    return {
        name: milliseconds / rounds
        for name, milliseconds in profiler.times_by_operation(steps).items()
    }
