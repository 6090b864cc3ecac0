"""Which worker does what, and what happens when one fails."""

import pytest

from keras_mtl.comparison import supervisor as module
from keras_mtl.comparison.comparison_work import ComparisonWork
from keras_mtl.comparison.jobs import Job
from keras_mtl.comparison.jobs import all_runs
from keras_mtl.comparison.progress import Progress
from keras_mtl.comparison.settings import Settings
from keras_mtl.comparison.supervisor import Supervisor
from tests.comparison.local_worker import LocalWorker
from tests.comparison.made_up import identity


class Worker(LocalWorker):
    """Has results that nobody has measured."""

    broken: set = set()
    refused: set = set()
    changes: dict = {}

    def identity(self):
        return identity(**self.changes)

    def say(self, event, **content):
        if event == "ready" and self.backend in self.refused:
            self.status = "No such model."
            super().say("refused", message=self.status)
            super().say("exit")
        else:
            super().say(event, **content)

    def content(self, job):
        is_step = job.strategy and job.seed is None
        assert self.work.folder.start.exists() or not is_step
        if job in self.broken:
            return None
        self.say("epoch", epoch=1, logs={"loss": 1.0})
        return "result"


@pytest.fixture
def supervise(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "WorkerProcess", Worker)
    monkeypatch.setattr(Worker, "started", [])
    monkeypatch.setattr(Worker, "broken", set())
    monkeypatch.setattr(Worker, "refused", set())
    monkeypatch.setattr(Worker, "changes", {})

    def make(limit=None, **given):
        given = {"backends": ("jax", "torch"), "seeds": 2, **given}
        settings = Settings(output=str(tmp_path / "report"), **given)
        display = Progress(all_runs(settings), settings.epochs)
        return Supervisor(ComparisonWork(settings), display, limit)

    return make


@pytest.mark.parametrize("jobs", [1, 2])
def test_everything_is_done_once(supervise, jobs):
    supervisor = supervise(jobs=jobs)
    with supervisor.folder:
        assert supervisor.run()
    everything = supervisor.work.reported_jobs()
    done = [job for worker in Worker.started for job in worker.given]
    # One of them has written the common weights.
    start = Job("jax", "", None)
    assert sorted(done, key=str) == sorted([start, *everything], key=str)
    assert supervisor.folder.unfinished(everything) == []
    assert supervisor.display.finished == len(
        all_runs(supervisor.work.settings)
    )


def test_what_is_there_is_left(supervise):
    first = supervise(backends=("jax",), strategies=("ew",))
    with first.folder:
        assert first.run()
    second = supervise(backends=("jax",), strategies=("ew", "mgda"))
    with second.folder:
        assert second.run()
    assert {job.strategy for job in Worker.started[1].given} == {"mgda"}


def test_no_more_jobs_than_asked_for(supervise):
    supervisor = supervise(backends=("jax",), limit=2)
    with supervisor.folder:
        assert supervisor.run()
    assert Worker.started[0].given == all_runs(supervisor.work.settings)[:2]
    assert len(Worker.started) == 1


def test_weights_to_start_from_are_another_backends_if_need_be(supervise):
    supervisor = supervise(seeds=1, strategies=("ew",))
    Worker.broken = {Job("jax", "", None)}
    with supervisor.folder:
        assert not supervisor.run()
    assert supervisor.failed == {Job("jax", "", None): "Killed."}
    assert supervisor.folder.unfinished(supervisor.work.reported_jobs()) == []


def test_a_failed_run_is_not_the_end(supervise):
    supervisor = supervise(backends=("jax",), strategies=("ew", "mgda"))
    runs = all_runs(supervisor.work.settings)
    Worker.broken = {runs[1]}
    with supervisor.folder:
        assert not supervisor.run()
    assert supervisor.failed == {runs[1]: "Killed."}
    assert supervisor.folder.unfinished(runs) == [runs[1]]
    assert Worker.started[1].given == runs[2:]


def test_a_backend_that_does_not_start_is_given_up(supervise):
    supervisor = supervise()
    Worker.refused = {"jax"}
    with supervisor.folder:
        assert not supervisor.run()
    assert supervisor.given_up == {"jax": "No such model."}
    left = supervisor.folder.unfinished(all_runs(supervisor.work.settings))
    assert {job.backend for job in left} == {"jax"}
    assert [it.backend for it in Worker.started] == ["jax", "torch"]


def test_nothing_is_written_if_nothing_starts(supervise):
    supervisor = supervise()
    Worker.refused = {"jax", "torch"}
    with supervisor.folder:
        assert not supervisor.run()
    assert not supervisor.folder.path.exists()


def test_workers_end_with_an_interrupted_parent(supervise, monkeypatch):
    supervisor = supervise()

    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(supervisor, "_handle_next_message", interrupt)
    with supervisor.folder, pytest.raises(KeyboardInterrupt):
        supervisor.run()
    assert Worker.started[0].status == "Stopped."


@pytest.mark.parametrize(
    "changes",
    [
        {"parameters": 54321},
        {"tasks": ["left"]},
        {"num_train": 31},
        {"model": "other"},
        {"shapes": "other"},
        {"data": "other"},
    ],
)
def test_another_problem_is_refused_before_it_is_trained(supervise, changes):
    first = supervise(backends=("jax",), seeds=1)
    with first.folder:
        assert first.run()
    before = first.folder.settings_file.read_text()
    Worker.changes = changes
    second = supervise(backends=("jax",), seeds=2)
    with second.folder:
        assert not second.run()
    ((name, value),) = changes.items()
    assert f"this command has {name}={value!r}" in second.given_up["jax"]
    assert Worker.started[-1].given == []
    assert first.folder.settings_file.read_text() == before


def test_digests_are_compared_on_one_backend_only(supervise):
    for backend, shapes in (("jax", "one"), ("torch", "other")):
        Worker.changes = {"shapes": shapes}
        supervisor = supervise(backends=(backend,), seeds=1)
        with supervisor.folder:
            assert supervisor.run()
    Worker.changes = {"parameters": 1}
    supervisor = supervise(backends=("tensorflow",), seeds=1)
    with supervisor.folder:
        assert not supervisor.run()
