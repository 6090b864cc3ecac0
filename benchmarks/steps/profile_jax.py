"""The profiler of XLA."""

import collections
import re
import tempfile
from pathlib import Path

import jax


def times_by_operation(run):
    """Returns the ms that each operation takes by itself while `run` runs.

    Operations of the same kind, whose names differ by a number, are added up.
    """
    times: dict[str, float] = collections.defaultdict(float)
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            run()
        for file in Path(folder).rglob("*.xplane.pb"):
            data = jax.profiler.ProfileData.from_file(str(file))
            for plane in data.planes:
                for line in plane.lines:
                    add_operations(times, line.events)
    return times


def add_operations(times, events):
    """Adds the times of one thread, those of inner operations to these."""
    operations = [
        (event.start_ns, -event.end_ns, kind_of(event.name))
        for event in events
        if any(name == "hlo_op" for name, _ in event.stats)
    ]
    around: list[tuple[float, str]] = []
    # Of those that start together, the longest comes first.
    for start, minus_end, kind in sorted(operations):
        duration = (-minus_end - start) / 1e6
        while around and around[-1][0] <= start:
            around.pop()
        if around:
            times[around[-1][1]] -= duration
        times[kind] += duration
        around.append((-minus_end, kind))


def kind_of(name):
    """Returns the name of an operation without its numbers."""
    return re.sub(r"(\.(\d+|clone|remat\d*))+$", "", name)
