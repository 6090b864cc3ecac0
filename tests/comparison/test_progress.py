"""What is seen on the screen."""

import io

import pytest
from rich.console import Console
from rich.live import Live

from keras_mtl.comparison.jobs import Job
from keras_mtl.comparison.progress import LiveProgress
from keras_mtl.comparison.progress import PlainProgress
from keras_mtl.comparison.progress import Progress
from keras_mtl.comparison.progress import duration

JOBS = [Job("jax", "ew", 0), Job("jax", "[red]", 1), Job("jax", "ew", None)]


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_time_left_follows_the_epochs():
    clock = Clock()
    progress = Progress(JOBS, 4, clock)
    progress.begin(JOBS[0])
    assert progress.seconds_left() is None
    clock.now = 6.0
    progress.epoch(JOBS[0], 1, {})
    progress.epoch(JOBS[0], 2, {})
    # Three seconds an epoch, and six of eight are left.
    assert progress.seconds_left() == 18.0


def test_nobody_waits_for_what_has_failed():
    clock = Clock()
    progress = Progress(JOBS, 4, clock)
    progress.begin(JOBS[0])
    clock.now = 3.0
    progress.epoch(JOBS[0], 1, {})
    progress.fail("jax", JOBS[0], "Because.")
    assert progress.seconds_left() == 4 * 3.0


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, "unknown time"),
        (41.7, "42 s"),
        (200.0, "3 min"),
        (3600.0 * 2 + 300, "2 h 05 min"),
        (3599.0, "1 h 00 min"),
    ],
)
def test_durations(seconds, expected):
    assert duration(seconds) == expected


def test_plain_lines():
    stream = io.StringIO()
    progress = PlainProgress(stream, to_do=JOBS, epochs=1, clock=Clock())
    progress.begin(JOBS[2])
    progress.end(JOBS[2])
    progress.begin(JOBS[0])
    progress.epoch(JOBS[0], 1, {"loss": 0.5, "val_loss": None, "a_weight": 1})
    progress.end(JOBS[0])
    progress.begin(JOBS[1])
    progress.fail("jax", JOBS[1], "Because.")
    assert stream.getvalue().splitlines() == [
        "done: jax, ew, steps to compare backends",
        "1/2 done: jax, ew, seed 0; loss 0.5, val_loss not finite; 0 s left",
        "failed: jax, [red], seed 1",
        "Because.",
    ]


def test_table_shows_names_as_they_are():
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    with Live(console=console, auto_refresh=False) as live:
        progress = LiveProgress(live, to_do=JOBS, epochs=3, clock=Clock())
        progress.begin(JOBS[1])
        progress.epoch(JOBS[1], 2, {"loss": 0.25})
        progress.fail("torch", None, "[bold]Because.")
        plain = Console(file=io.StringIO(), width=80)
        plain.print(progress.table())
    text = plain.file.getvalue()
    assert "0/2 runs, 0 s left, 1 failed" in text
    assert "jax, [red], seed 1" in text and "2/3" in text
    assert "loss 0.25" in text
    assert "[bold]Because." in console.file.getvalue()


@pytest.mark.parametrize("kind", [PlainProgress, LiveProgress])
def test_names_command_no_terminal(kind):
    """Of strategies and metrics, and in what a worker has printed."""
    stream = io.StringIO()
    console = Console(file=stream, width=200, force_terminal=True)
    with Live(console=console, auto_refresh=False) as live:
        target = stream if kind is PlainProgress else live
        job = Job("jax", "my_module:make\x1b[2J", 0)
        progress = kind(target, to_do=[job, job], epochs=1)
        for _ in range(2):
            progress.begin(job)
            progress.epoch(job, 1, {"val_\x1b]0;own\x07_loss": 1.0})
            live.refresh()
            if progress.finished:
                progress.fail("jax", job, "\x9b31mText")
            else:
                progress.end(job)
    printed = stream.getvalue()
    assert "\x1b[2J" not in printed and "\x1b]" not in printed
    assert "\x07" not in printed and "\x9b" not in printed
    assert r"make\x1b[2J" in printed and r"\x9b31mText" in printed
