"""Measures and prints what `solvers.py` promises."""

import importlib
import os

import keras
import numpy as np
from steps import table
from steps import timing

from solving import exact
from solving import methods

#: Milliseconds that a call may take, by number of tasks.
LIMITS = {2: 1.0, 3: 1.0, 8: 1.0, 16: 3.0, 32: 3.0}
LARGEST_ERROR = 1e-5
#: More rounds than steps of training: calls are short and peers are slow.
FEWEST_ROUNDS = 15
IDENTITY = "identity"
CVXPY = "NashMTL, CVXPY"
COMPILED_CVXPY = "NashMTL, CVXPY compiled once"


def work(arguments):
    """Prints the tables of one backend, the one that Keras runs on."""

    backend = keras.backend.backend()
    print(f"\n## {backend}, keras {keras.__version__}", flush=True)
    before = os.getloadavg()[0]
    sizes = (2, 3) if arguments.quick else tuple(LIMITS)
    times, errors = {}, {}
    for size in sizes:
        # The graph of one kind of Gramian serves the others too.
        callers = methods.callers(size)
        for kind in methods.KINDS:
            case = Case(kind, size, callers, not arguments.no_peers)
            for name, row in case.measure_errors().items():
                errors[name, kind, size] = row
            seconds = 0.1 if arguments.quick else arguments.seconds
            rounds = 3 if arguments.quick else FEWEST_ROUNDS
            for name, value in case.measure_times(seconds, rounds).items():
                times[name, kind, size] = value
    print(f"\nLoad average {before:.1f} before, {os.getloadavg()[0]:.1f} after")
    print_times(times, sizes)
    print_errors(errors, sizes, methods)


class Case:
    """One Gramian, and everything that is called with it."""

    def __init__(self, kind, size, callers, with_peers):
        self.rows = methods.make_rows(kind, size)
        self.gramian = methods.rounded_gramian(self.rows)
        # What float32 leaves of the problem, to be solved exactly too.
        self.rounded, self.definite = exact.factor(self.gramian)
        tensor = keras.ops.convert_to_tensor(self.gramian)
        self.ours = {name: bound(c, tensor) for name, c in callers.items()}
        # Of the call that is compared, which comes first.
        self.orders = methods.next_orders(callers["PCGrad"], size)
        self.identity = bound(methods.Caller(lambda g: g * 1), tensor)
        self.peers = {}
        if with_peers:
            convex = importlib.import_module("solving.convex")
            self.peers[CVXPY] = convex.written_down(self.rows)
            self.peers[COMPILED_CVXPY] = convex.compiled_once(self.rows)
        if with_peers and keras.backend.backend() == "torch":
            peers = importlib.import_module("solving.peers")
            weightings = peers.torchjd_weightings(self.rows, self.gramian)
            for name, call in weightings.items():
                self.peers[f"{name}, TorchJD"] = call

    def measure_times(self, seconds, rounds):
        """Returns the median milliseconds of each call, wall and CPU."""

        calls = {**self.ours, IDENTITY: self.identity, **self.peers}
        for call in calls.values():
            call()
        times = timing.measure(calls, seconds, rounds)
        return {
            name: 1000 * np.median(samples, axis=0)
            for name, samples in times.items()
        }

    def measure_errors(self):
        """Returns, by name, relative errors of direction and objective.

        Each is a pair: of what was called, and of the exact solution for the
        rounded Gramian, rounded. An entry is `None` where it is undefined.
        """

        rows = self.rows.astype("float64")
        result = {}
        for name, call in {**self.ours, **self.peers}.items():
            method = name.split(",")[0]
            if method == "PCGrad" and name != method:
                # TorchJD draws orders of its own.
                continue
            right = methods.exact_weights(method, rows, self.orders)
            alone = methods.exact_weights(method, self.rounded, self.orders)
            alone = alone.astype("float32").astype("float64")
            weights = np.asarray(call(), "float64")
            objective = exact.OBJECTIVES.get(method)
            result[name] = {
                "direction": tuple(
                    direction_error(rows, given, right)
                    for given in (weights, alone)
                ),
                "objective": objective
                and tuple(
                    objective_error(objective, rows, given, right)
                    for given in (weights, alone)
                ),
                "definite": self.definite,
            }
        return result


def bound(call, tensor):
    return lambda: call(tensor)


def direction_error(rows, weights, right):

    expected = right @ rows
    return np.linalg.norm(weights @ rows - expected) / np.linalg.norm(expected)


def objective_error(objective, rows, weights, right):

    expected = objective(rows, right)
    with np.errstate(invalid="ignore", divide="ignore"):
        error = objective(rows, weights) - expected
    # Distances may be zero.
    scale = max(abs(expected), 1e-9 * np.sum((right @ rows) ** 2))
    return abs(error) / scale


def print_times(times, sizes):

    names = list(dict.fromkeys(name for name, _, _ in times))
    lines = [["milliseconds", *(f"K = {size}" for size in sizes)]]
    slow = 0
    for name in names:
        worst = [
            np.max([times[name, kind, size] for kind in methods.KINDS], axis=0)
            for size in sizes
        ]
        lines.append([name, *(f"{w:.2f} ({c:.2f})" for w, c in worst)])
        if name in methods.METHODS:
            slow += sum(
                wall > LIMITS[size]
                for (wall, _), size in zip(worst, sizes, strict=True)
            )
    print(
        "\n### Time of a call (and CPU time): the slowest of the three kinds\n"
    )
    print(table.aligned(lines))
    print(f"\nCells of ours above the target: {slow}")
    if CVXPY in names:
        print_ratios(times, sizes, methods.KINDS)


def print_ratios(times, sizes, kinds):
    for peer in (CVXPY, COMPILED_CVXPY, "NashMTL, TorchJD"):
        if (peer, kinds[0], sizes[0]) not in times:
            continue
        ratios = [
            times[peer, kind, size][0] / times["NashMTL", kind, size][0]
            for kind in kinds
            for size in sizes
        ]
        print(
            f"{peer}: {min(ratios):.0f} to {max(ratios):.0f} times the time "
            "of ours"
        )


def print_errors(errors, sizes, methods):

    names = list(dict.fromkeys(name for name, _, _ in errors))
    for measure in ("direction", "objective"):
        lines = [["method", "Gramian", *(f"K = {size}" for size in sizes)]]
        above = {"explained": [], "not explained": []}
        for name in names:
            for kind in methods.KINDS:
                cells = [name, kind]
                for size in sizes:
                    row = errors[name, kind, size]
                    if row[measure] is None:
                        continue
                    ours, rounding = row[measure]
                    mark = "" if row["definite"] else "?"
                    cells.append(f"{ours:.0e} ({rounding:.0e}{mark})")
                    if name in methods.METHODS and not ours <= LARGEST_ERROR:
                        explained = rounding > LARGEST_ERROR
                        where = "" if explained else "not "
                        above[f"{where}explained"].append(
                            f"{name} {kind} K={size}"
                        )
                if len(cells) > 2:
                    lines.append(cells)
        print(
            f"\n### Relative error of the {measure} (and of the exact "
            "solution, rounded, for the rounded Gramian)\n"
        )
        print(table.aligned(lines))
        print(f"\nCells of ours above {LARGEST_ERROR}:")
        print(f"- as are those of the rounding alone: {above['explained']}")
        print(
            f"- though those of the rounding are not: {above['not explained']}",
            flush=True,
        )
