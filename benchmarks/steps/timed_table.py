"""Steps timed side by side, printed as a table."""

import os

from steps import table
from steps import timing


def print_table(title, makers, references, seconds, digits=2):
    """Times steps in alternation and prints a row for each.

    Args:
        title: What stands above the table.
        makers: Functions that prepare a step, by the name of its row.
        references: The row that a row is compared with, by name.
        seconds: Time to spend without compiling; 0 for two rounds, to see
            that it runs.
        digits: Digits of the ratios. Defaults to 2.
    """
    steps, first_calls = timing.prepare(makers)
    fewest = timing.FEWEST_ROUNDS if seconds else 2
    before = os.getloadavg()[0]
    times = timing.measure(steps, seconds, fewest)
    after = os.getloadavg()[0]
    rows = timing.summary(times, references)
    rounds = len(next(iter(times.values())))
    print(
        f"\n### {title}: {rounds} rounds, load average {before:.1f} before, "
        f"{after:.1f} after\n"
    )
    print(table.markdown(rows, first_calls, digits), flush=True)
