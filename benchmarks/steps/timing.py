"""Timing of several variants side by side."""

import random
import time

import numpy as np

WARM_UP = 3
FEWEST_ROUNDS = 10


def prepare(makers):
    """Makes every variant ready; returns steps and times of the first call."""
    steps, first_calls = {}, {}
    for name, make in makers.items():
        start = time.perf_counter()
        steps[name] = make()
        steps[name]()
        first_calls[name] = time.perf_counter() - start
        for _ in range(WARM_UP):
            steps[name]()
    return steps, first_calls


def measure(steps, seconds, fewest_rounds=FEWEST_ROUNDS):
    """Runs one step of each variant in turn, in a new order every round.

    Args:
        steps: Functions by name.
        seconds: Time to spend.
        fewest_rounds: Rounds, however long they take. Defaults to 10.

    Returns:
        Dict from names to arrays `[rounds, 2]` of wall and CPU seconds.
    """
    order = list(steps)
    shuffle = random.Random(0).shuffle
    times = {name: [] for name in steps}
    end = time.perf_counter() + seconds
    rounds = 0
    while rounds < fewest_rounds or time.perf_counter() < end:
        shuffle(order)
        for name in order:
            cpu, wall = time.process_time(), time.perf_counter()
            steps[name]()
            times[name].append(
                (time.perf_counter() - wall, time.process_time() - cpu)
            )
        rounds += 1
    return {name: np.array(rows) for name, rows in times.items()}


def summary(times, references):
    """Returns one row of numbers per variant.

    Ratios are medians over rounds of ratios within a round, so that a load
    that comes and goes hits both sides.
    """
    rows = {}
    for name, samples in times.items():
        median = np.median(samples, axis=0)
        low = np.percentile(samples, 10, axis=0)
        row = {
            "wall": median[0],
            "wall_p10": low[0],
            "cpu": median[1],
            "cpu_p10": low[1],
            "rounds": len(samples),
        }
        if name in references:
            other = times[references[name]]
            ratio = np.median(samples / other, axis=0)
            row["reference"] = references[name]
            row["wall_ratio"], row["cpu_ratio"] = ratio
            row["low_ratio"] = low[0] / np.percentile(other[:, 0], 10)
        rows[name] = row
    return rows
