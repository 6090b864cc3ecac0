"""Has workers do the jobs until every job is done or has failed."""

import contextlib
import queue
import sys
from collections.abc import Callable
from typing import Any

from keras_mtl.comparison.progress import LiveProgress
from keras_mtl.comparison.progress import PlainProgress
from keras_mtl.comparison.progress import Progress
from keras_mtl.comparison.work import Job
from keras_mtl.comparison.work import Work
from keras_mtl.comparison.work import import_path_of
from keras_mtl.comparison.worker_process import WorkerProcess

#: Seconds between two looks at the clock on the screen.
TICK = 0.5

#: Called with the supervisor when a job is done.
AfterJob = Callable[["Supervisor"], None]


class Supervisor:
    """Has workers do the jobs until every job is done or has failed.

    A worker is given one job after the other. If it ends in the middle of one,
    that job has failed, and a new worker does the others. If it ends before
    the first, its backend is given up.

    Args:
        work: What is to do.
        display: What is told about the progress.
        limit: The most jobs that are begun. Defaults to `None`: all.
        after_job: Called with this object when a job is done and the next one
            is given. Defaults to `None`: nothing.
    """

    def __init__(
        self,
        work: Work,
        display: Progress,
        limit: int | None = None,
        after_job: AfterJob | None = None,
    ):
        self.work = work
        self.folder = work.folder
        self.display = display
        self.limit = limit
        self.after_job = after_job
        self.begun = 0
        self.done: set[Job] = set()
        self.failed: dict[Any, str] = {}
        self.given_up: dict[str, str] = {}
        self.messages: Any = queue.SimpleQueue()
        self.workers: list[WorkerProcess] = []
        self.is_prepared = False

    def run(self) -> bool:
        """Does everything that is not done yet; returns whether all is."""
        try:
            while self._start_workers() or self.workers:
                self._handle_next_message()
        finally:
            for worker in self.workers:
                worker.stop()
        return self.is_complete()

    def is_complete(self) -> bool:
        """Whether nothing has failed."""
        return not self.failed and not self.given_up

    def _next_job(self, backend: str) -> Any:
        if self.begun == self.limit:
            return None
        # Some files are of every backend: one worker at a time writes them.
        under_way = {
            self.folder.file_of(worker.job)
            for worker in self.workers
            if worker.job is not None
        }
        for job in self.folder.unfinished(self.work.jobs()):
            is_tried = job in self.done or job in self.failed
            if (
                job.backend == backend
                and not is_tried
                and self.folder.file_of(job) not in under_way
            ):
                return job
        return None

    def _start_workers(self) -> bool:
        """Starts as many as there may be; returns whether it started any."""
        before = len(self.workers)
        task = {
            "work": import_path_of(self.work),
            "arguments": self.work.arguments(),
        }
        for backend in self.work.backends:
            if len(self.workers) >= self.work.workers:
                break
            busy = {worker.backend for worker in self.workers}
            if backend in busy or backend in self.given_up:
                continue
            if self._next_job(backend) is not None:
                worker = WorkerProcess(backend, task, self.messages)
                self.workers.append(worker)
        return len(self.workers) > before

    def _handle_next_message(self) -> None:
        try:
            worker, message = self.messages.get(timeout=TICK)
        except queue.Empty:
            self.display.tick()
            return
        event = message["event"]
        if event == "ready":
            self._begin_with(worker, message["identity"])
        elif event == "refused":
            worker.refusal = message["message"]
        elif event == "epoch":
            self.display.epoch(worker.job, message["epoch"], message["logs"])
        elif event == "end":
            self.display.end(worker.job)
            self.done.add(worker.job)
            self._give_job(worker)
            if self.after_job is not None:
                self.after_job(self)
        elif event == "done":
            worker.finish()
        elif event == "exit":
            self._remove(worker)

    def _begin_with(
        self, worker: WorkerProcess, identity: dict[str, Any]
    ) -> None:
        if not self.is_prepared:
            # The first thing that is written, now that all seems well.
            self.folder.prepare(self.work.fixed())
            self.is_prepared = True
        try:
            self.folder.identify(worker.backend, identity)
        except ValueError as error:
            # It is given nothing, and nothing is trained.
            worker.refuse(str(error))
        else:
            self._give_job(worker)

    def _give_job(self, worker: WorkerProcess) -> None:
        worker.job = None
        job = self._next_job(worker.backend)
        worker.give(job)
        if job is not None:
            self.begun += 1
            self.display.begin(job)

    def _remove(self, worker: WorkerProcess) -> None:
        self.workers.remove(worker)
        failure = worker.failure()
        if failure is None:
            return
        self.display.fail(worker.backend, worker.job, failure)
        if worker.job is not None:
            self.failed[worker.job] = failure
        else:
            self.given_up[worker.backend] = failure


def supervise(
    work: Work, epochs: int, after_job: AfterJob | None = None
) -> Supervisor:
    """Does what is to do, and shows how far it is; returns what has done it.

    Args:
        work: What is to do.
        epochs: Epochs per run.
        after_job: As for `Supervisor`.
    """
    from rich.console import Console
    from rich.live import Live

    jobs = work.reported_jobs()
    to_do = work.folder.unfinished(jobs)
    if len(to_do) < len(jobs):
        print(f"{len(jobs) - len(to_do)} of {len(jobs)} are done already.")
    console = Console()
    shown = {"to_do": to_do, "epochs": epochs}
    with contextlib.ExitStack() as stack:
        display: Progress = PlainProgress(sys.stdout, **shown)
        if console.is_terminal:
            live = stack.enter_context(
                Live(console=console, auto_refresh=False)
            )
            display = LiveProgress(live, **shown)
        supervisor = Supervisor(work, display, after_job=after_job)
        supervisor.run()
    return supervisor
