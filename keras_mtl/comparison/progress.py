"""How far a comparison is, on the screen."""

import time
from collections.abc import Callable
from typing import Any
from typing import TextIO

from keras_mtl.comparison.work import Job
from keras_mtl.terminal import printable

#: Results of the last epoch that the table shows.
SHOWN = 4


class Progress:
    """Counts what is done and estimates the time that is left.

    Args:
        to_do: The jobs that are not done.
        epochs: Epochs per run.
        clock: Returns seconds. Defaults to a clock that never goes back.
    """

    def __init__(
        self,
        to_do: list[Job],
        epochs: int,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.runs = sum(job.seed is not None for job in to_do)
        self.epochs = self.runs * epochs
        self.epochs_per_run = epochs
        self.finished = 0
        self.failed = 0
        self.current: dict[str, tuple[Job, int, dict[str, Any]]] = {}
        self._epochs_done = 0
        self._clock = clock
        self._start = clock()

    def begin(self, job: Job) -> None:
        """Notes that a job has begun."""
        self.current[job.backend] = (job, 0, {})
        # A budget may last for more than was expected.
        under_way = sum(
            it.seed is not None for it, _, _ in self.current.values()
        )
        self.runs = max(self.runs, self.finished + under_way)
        self.tick()

    def epoch(self, job: Job, epoch: int, logs: dict[str, Any]) -> None:
        """Notes an epoch that is over."""
        self.current[job.backend] = (job, epoch, logs)
        self._epochs_done += 1
        self.tick()

    def end(self, job: Job) -> None:
        """Notes that a job is done."""
        _, epochs, _ = self.current.pop(job.backend)
        if job.seed is not None:
            self.finished += 1
            # Callbacks may have stopped it.
            self.epochs -= self.epochs_per_run - epochs
        self.tick()

    def fail(self, backend: str, job: Job | None, message: str) -> None:
        """Notes that a job, or all of a backend, will not be done."""
        begun = self.current.pop(backend, None)
        if begun is not None and begun[0].seed is not None:
            self.epochs -= self.epochs_per_run - begun[1]
        self.failed += 1
        self.tick()

    def tick(self) -> None:
        """Shows what there is; called again and again while nothing happens."""

    def seconds_left(self) -> float | None:
        """Estimates the time that is left; `None` before the first epoch."""
        if not self._epochs_done:
            return None
        elapsed = self._clock() - self._start
        left = self.epochs - self._epochs_done
        return max(left, 0) * elapsed / self._epochs_done


class PlainProgress(Progress):
    """Writes a line for each run, for files and pipes.

    Args:
        stream: Where to write.
        **arguments: Those of `Progress`.
    """

    def __init__(self, stream: TextIO, **arguments: Any):
        super().__init__(**arguments)
        self.stream = stream

    def end(self, job: Job) -> None:
        logs = self.current[job.backend][2]
        super().end(job)
        if job.seed is None:
            self._say(f"done: {job.title}")
            return
        left = duration(self.seconds_left())
        self._say(
            f"{self.finished}/{self.runs} done: {job.title}; "
            f"{results_text(logs)}; {left} left"
        )

    def fail(self, backend: str, job: Job | None, message: str) -> None:
        super().fail(backend, job, message)
        self._say(f"failed: {job.title if job else backend}\n{message}")

    def _say(self, text: str) -> None:
        self.stream.write(f"{printable(text)}\n")
        self.stream.flush()


class LiveProgress(Progress):
    """Keeps a table up to date on a terminal.

    Args:
        live: A `rich.live.Live`.
        **arguments: Those of `Progress`.
    """

    def __init__(self, live: Any, **arguments: Any):
        super().__init__(**arguments)
        self.live = live

    def fail(self, backend: str, job: Job | None, message: str) -> None:
        from rich.text import Text

        # Above the table, where it stays.
        text = f"failed: {job.title if job else backend}\n{message}"
        self.live.console.print(Text(printable(text)))
        super().fail(backend, job, message)

    def tick(self) -> None:
        self.live.update(self.table())

    def table(self) -> Any:
        """Returns what is shown: a row for each backend that is at work."""
        from rich import box
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        title = (
            f"{self.finished}/{self.runs} runs, "
            f"{duration(self.seconds_left())} left"
        )
        if self.failed:
            title += f", {self.failed} failed"
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("run", no_wrap=True)
        table.add_column("epoch", justify="right", no_wrap=True)
        table.add_column("last epoch")
        for job, epoch, logs in self.current.values():
            count = "" if job.seed is None else f"{epoch}/{self.epochs_per_run}"
            # As `Text`: names may have what rich takes for markup.
            table.add_row(
                Text(printable(job.title)),
                count,
                Text(printable(results_text(logs))),
            )
        # A title of the table itself would be cut to the table's width.
        return Group(Text(title), table) if self.current else Text(title)


def results_text(logs: dict[str, Any]) -> str:
    """Returns the training loss and the first results on test data."""
    names = ["loss", *(name for name in logs if name.startswith("val_"))]
    parts = []
    for name in [name for name in names if name in logs][:SHOWN]:
        value = logs[name]
        shown = "not finite" if value is None else f"{value:.3g}"
        parts.append(f"{name} {shown}")
    return ", ".join(parts)


def duration(seconds: float | None) -> str:
    """Returns seconds as a person says them."""
    if seconds is None:
        return "unknown time"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"
