"""Runs the workers until every job is done or has failed."""

import queue
from typing import Any
from typing import Protocol

from keras_mtl.comparison.jobs import Job
from keras_mtl.comparison.jobs import all_agreements
from keras_mtl.comparison.jobs import all_runs
from keras_mtl.comparison.results_folder import ResultsFolder
from keras_mtl.comparison.settings import Settings
from keras_mtl.comparison.worker_process import WorkerProcess

#: Seconds between two looks at the clock on the screen.
TICK = 0.5


class Display(Protocol):
    """What is told about the progress."""

    def begin(self, job: Job) -> None: ...

    def epoch(self, job: Job, epoch: int, logs: dict[str, Any]) -> None: ...

    def end(self, job: Job) -> None: ...

    def fail(self, backend: str, job: Job | None, message: str) -> None: ...

    def tick(self) -> None: ...


class Supervisor:
    """Runs the workers until every job is done or has failed.

    A worker does its jobs one after the other. If it ends in the middle of
    one, that job has failed, and a new worker does the others. If it ends
    before the first, its backend is given up.

    Args:
        settings: The settings.
        folder: Where results go.
        fixed: The settings that the folder keeps.
        display: What is told about the progress.
    """

    def __init__(
        self,
        settings: Settings,
        folder: ResultsFolder,
        fixed: dict[str, Any],
        display: Display,
    ):
        self.settings = settings
        self.folder = folder
        self.fixed = fixed
        self.display = display
        self.done: set[Job] = set()
        self.failed: dict[Job, str] = {}
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
        return not self.failed and not self.given_up

    def _to_do(self, backend: str) -> list[Job]:
        jobs = [*all_agreements(self.settings), *all_runs(self.settings)]
        own = [job for job in jobs if job.backend == backend]
        tried = {*self.failed, *self.done}
        return [job for job in self.folder.unfinished(own) if job not in tried]

    def _start_workers(self) -> bool:
        """Starts as many as there may be; returns whether it started any."""
        before = len(self.workers)
        for backend in self.settings.backends:
            if len(self.workers) >= self.settings.jobs:
                break
            busy = {worker.backend for worker in self.workers}
            if backend in busy or backend in self.given_up:
                continue
            jobs = self._to_do(backend)
            if jobs:
                self.workers.append(
                    WorkerProcess(backend, self.settings, jobs, self.messages)
                )
        return len(self.workers) > before

    def _handle_next_message(self) -> None:
        try:
            worker, message = self.messages.get(timeout=TICK)
        except queue.Empty:
            self.display.tick()
            return
        event = message["event"]
        if event == "ready":
            if not self.is_prepared:
                # The first thing that is written, now that all seems well.
                self.folder.prepare(self.fixed)
                self.is_prepared = True
            self._note_identity(worker, message["identity"])
        elif event == "refused":
            worker.refusal = message["message"]
        elif event == "begin":
            worker.job = Job(*message["job"])
            self.display.begin(worker.job)
        elif event == "epoch":
            self.display.epoch(worker.job, message["epoch"], message["logs"])
        elif event == "end":
            self.display.end(worker.job)
            self.done.add(worker.job)
            worker.job = None
        elif event == "done":
            worker.finish()
        elif event == "exit":
            self._remove(worker)
        self._let_go()

    def _note_identity(
        self, worker: WorkerProcess, identity: dict[str, Any]
    ) -> None:
        try:
            self.folder.note_identity(worker.backend, identity)
        except ValueError as error:
            # It is never told to go, and nothing is trained.
            worker.refuse(str(error))
        else:
            worker.is_ready = True

    def _let_go(self) -> None:
        """Has one worker write the common weights; the others wait for it."""
        for worker in self.workers:
            if not worker.is_ready or worker.has_gone:
                continue
            needs_start = any(job.seed is None for job in worker.jobs)
            if not needs_start or self.folder.start.exists():
                worker.go(writes_start=False)
            elif not any(other.writes_start for other in self.workers):
                worker.go(writes_start=True)

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
