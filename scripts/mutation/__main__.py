"""Mutation testing: changes the code, and looks whether a test fails.

    python scripts/mutation --sample 25 --seed 1
    python scripts/mutation --place solvers --sample 0

Draws mutants of each place, as many fine ones (another operator, number,
condition or text) as coarse ones (a value or an argument less). For each it
runs the tests that run its line until one fails. Prints how many were killed,
and which survived. mutmut makes the mutants. Runs on torch, in one process at
a time; what was tried before is not tried again. Needs the extras `test` and
`mutation`, and `fork`.
"""

import argparse
import hashlib
import json
import os
import random
import sys
import time
from pathlib import Path

# Before a framework is imported.
os.environ["KERAS_BACKEND"] = "torch"
os.environ["OMP_NUM_THREADS"] = "1"

from covering import Covering
from mutants import Mutant
from mutants import mutants_of
from places import PLACES
from places import ROOT
from places import files_of
from scipy.stats import binomtest
from trials import Trials
from trials import preload

KINDS = ("fine", "coarse")


def main(arguments: list[str] | None = None) -> None:
    """Runs the command."""
    options = _options(arguments)
    # mutmut reads `pyproject.toml` there.
    os.chdir(ROOT)
    options.output.mkdir(parents=True, exist_ok=True)
    drawn = {
        place: draw(place, options.sample, options.seed)
        for place in options.place or PLACES
    }
    preload()
    trials = Trials(options.output.resolve())
    covering = _covering(trials, options)
    rows = []
    for place, kinds in drawn.items():
        path = options.output / f"{place}-{_digest(place)}.jsonl"
        for kind, (number, mutants) in zip(KINDS, kinds, strict=True):
            results = try_all(mutants, trials, covering, path, options)
            rows.append(_row(place, kind, number, results))
            print_survivors(results)
    print("| place | kind | mutants | drawn | killed | share | 95 % |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(rows))


def _options(arguments):
    parser = argparse.ArgumentParser(
        prog="python scripts/mutation", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--place", action="append", choices=PLACES, help="default: all"
    )
    parser.add_argument(
        "--sample", type=int, default=25, help="of each place and kind; 0: all"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the draw")
    parser.add_argument(
        "--seconds", type=float, default=30.0, help="of tests for each mutant"
    )
    parser.add_argument(
        "--again", action="store_true", help="try survivors again"
    )
    parser.add_argument(
        "--keep-covering",
        action="store_true",
        help="take which tests run which lines from the last time",
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT / "build" / "mutation"
    )
    return parser.parse_args(arguments)


def draw(place: str, size: int, seed: int) -> list[tuple[int, list[Mutant]]]:
    """Returns the fine and the coarse mutants: how many, and some of them.

    Args:
        place: A name in `PLACES`.
        size: How many to draw of each kind; 0 for all.
        seed: Seed of the draw.
    """
    mutants = [
        mutant for file in files_of(place) for mutant in mutants_of(ROOT, file)
    ]
    drawn = []
    for is_coarse in (False, True):
        kind = [m for m in mutants if m.is_coarse == is_coarse]
        generator = random.Random(f"{place} {is_coarse} {seed}")
        chosen = range(len(kind))
        if size:
            chosen = generator.sample(chosen, min(size, len(kind)))
        drawn.append((len(kind), [kind[index] for index in sorted(chosen)]))
    return drawn


def _covering(trials, options):
    path = options.output / "covering.json"
    if options.keep_covering and path.exists():
        return Covering.load(path)
    print("Running the tests without a mutant ...", flush=True)
    return trials.find_covering()


def _digest(place):
    """Tells the sources of a place from what they were before."""
    digest = hashlib.sha256()
    for file in files_of(place):
        digest.update((ROOT / file).read_bytes())
    return digest.hexdigest()[:12]


def try_all(
    mutants: list[Mutant],
    trials: Trials,
    covering: Covering,
    path: Path,
    options: argparse.Namespace,
) -> dict[Mutant, dict]:
    """Returns what became of each mutant, and adds it to the file `path`."""
    known = {}
    if path.exists():
        for line in path.read_text().splitlines():
            record = json.loads(line)
            known[record["mutant"]] = record
    results = {}
    for mutant in mutants:
        record = known.get(mutant.key)
        if record is None or (
            options.again and record["outcome"] == "survived"
        ):
            record = try_one(mutant, trials, covering, options.seconds)
            with path.open("a") as stream:
                stream.write(json.dumps(record) + "\n")
            print(f"{record['seconds']:6.1f} s {record['outcome']:8} {mutant}")
            sys.stdout.flush()
        results[mutant] = record
    return results


def try_one(
    mutant: Mutant, trials: Trials, covering: Covering, limit: float
) -> dict:
    """Returns what became of a mutant."""
    tests = covering.tests_of(mutant.file, mutant.first, mutant.last, limit)
    if not tests:
        # What runs on import, or as `torch.compile` has made it.
        lines = mutant.function or (1, 10**6)
        found = (
            *covering.tests_named("defaults"),
            *covering.tests_named(Path(mutant.file).stem),
            *covering.tests_of(mutant.file, *lines, limit),
        )
        tests = list(dict.fromkeys(found))
    start = time.perf_counter()
    expected = sum(covering.seconds[test] for test in tests)
    outcome, failed = trials.run(mutant.file, mutant.source, tests, expected)
    return {
        "mutant": mutant.key,
        "outcome": outcome,
        "failed": failed,
        "tests": len(tests),
        "seconds": round(time.perf_counter() - start, 1),
    }


def print_survivors(results: dict[Mutant, dict]) -> None:
    """Prints the mutants that no test noticed."""
    for mutant, record in results.items():
        if record["outcome"] == "survived":
            print(f"survived: {mutant} ({record['tests']} tests)")


def _row(place, kind, number, results):
    total = len(results)
    killed = sum(r["outcome"] != "survived" for r in results.values())
    interval = binomtest(killed, total).proportion_ci(0.95)
    return (
        f"| {place} | {kind} | {number} | {total} | {killed} "
        f"| {killed / total:.1%} "
        f"| {interval.low:.1%} to {interval.high:.1%} |"
    )


if __name__ == "__main__":
    main()
