"""The study: its statistics, measures, runs and page."""

import dataclasses
import json

import keras
import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("scipy")
pytest.importorskip("sklearn")

from scipy import stats

from benchmarks.study import domains
from benchmarks.study import measures
from benchmarks.study import rooms
from benchmarks.study.__main__ import FOLDER
from benchmarks.study.__main__ import ROOT
from benchmarks.study.__main__ import main
from benchmarks.study.__main__ import parse
from benchmarks.study.experiments import EXPERIMENTS
from benchmarks.study.experiments import A
from benchmarks.study.experiments import B
from benchmarks.study.experiments import C
from benchmarks.study.measures import chosen_rho
from benchmarks.study.problem import Problem
from benchmarks.study.report import write_report
from benchmarks.study.results import gather
from benchmarks.study.training import new_model
from benchmarks.study.work import StudyFolder
from benchmarks.study.work import StudyWork
from benchmarks.study.work import do_runs
from keras_mtl import MultiTaskModel
from keras_mtl.comparison import supervisor
from keras_mtl.comparison.results_folder import LOCK
from tests.backend_tools import numpy
from tests.comparison.local_worker import LocalWorker
from tests.datasets.idx_writer import random_set
from tests.datasets.idx_writer import write_idx

QUICK = {
    experiment.name: dataclasses.replace(
        experiment, settings=experiment.settings.quick()
    )
    for experiment in EXPERIMENTS.values()
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """IDX files of noise."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("mnist", "fashion_mnist"):
        (folder / name).mkdir()
        for seed, split in enumerate(("train", "test")):
            write_idx(folder / name, split, *random_set(60, seed))
    return str(folder)


def test_the_best_radius_on_validation_images_is_chosen():
    def record(rho, *accuracies):
        tasks = {str(i): {"accuracy": it} for i, it in enumerate(accuracies)}
        return {"rho": rho, "validation": tasks}

    records = [record(0.4, 0.9, 0.9), record(0.1, 0.8, 1.0), record(0.2, 1, 0)]
    # Of equally good ones the smaller.
    assert chosen_rho(records) == 0.1


def linear_problem():
    """Two regressions on a linear trunk, and its model."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(12, 3)).astype("float32")
    y = {
        task: generator.normal(size=(12, 1)).astype("float32")
        for task in ("a", "b")
    }
    loss = dict.fromkeys(y, keras.losses.MeanSquaredError())

    def build():
        return MultiTaskModel(
            trunk=keras.Sequential(
                [keras.Input((3,)), keras.layers.Dense(2, use_bias=False)]
            ),
            heads={
                task: keras.layers.Dense(1, use_bias=False, name=task)
                for task in y
            },
        )

    return Problem(build, loss, None, (x, y), None, (x, y))


def test_gap_of_a_linear_network():
    problem = linear_problem()
    model = new_model(problem, "ew", 1, A.settings, ["a", "b"])
    models = {task: model.task_model(task) for task in ("a", "b")}
    before = [np.array(it) for it in model.get_weights()]
    found = measures.sam_gaps(model, models, problem, (0.1, 0.5))

    x, labels = problem.train
    trunk = np.array(model.shared_variables[0]).astype("float64")
    for rho in (0.1, 0.5):
        gaps = []
        for task in ("a", "b"):
            head = np.array(model.task_variables[task][0]).astype("float64")
            error = x @ trunk @ head - labels[task]
            of_trunk = 2 / len(x) * x.T @ error @ head.T
            of_head = 2 / len(x) * (x @ trunk).T @ error
            near = trunk + rho * of_trunk / np.linalg.norm(of_trunk)
            near_head = head + rho * of_head / np.linalg.norm(of_head)
            moved = x @ near @ near_head - labels[task]
            gaps.append(np.mean(moved**2) - np.mean(error**2))
        # The losses are float32, of about 1.
        assert found[f"{rho:g}"] == pytest.approx(np.mean(gaps), abs=3e-6)
    for was, variable in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, variable)
    assert measures.sam_gaps(model, models, problem, ()) == {}


def test_methods_start_alike(data_dir):
    experiment = QUICK["A"]
    problem = experiment.make_problem(
        "multi_mnist", experiment.settings, 0, data_dir
    )
    fs_mtl = experiment.method("fs_imtl_g").make(0.1)
    starts, draws = [], []
    for strategy, tasks in (
        ("ew", ["left", "right"]),
        (fs_mtl, ["left", "right"]),
        ("ew", ["right"]),
    ):
        model = new_model(problem, strategy, 3, experiment.settings, tasks)
        starts.append(model.get_weights())
        draws.append(np.random.random())
    other = new_model(problem, "ew", 4, experiment.settings, ["left", "right"])
    for weights in starts[1:]:
        for first, second in zip(starts[0], weights, strict=True):
            np.testing.assert_array_equal(first, second)
    assert not np.array_equal(starts[0][0], other.get_weights()[0])
    assert len(set(draws)) == 1


def test_centimetres_scale_depth_alone():
    settings = B.settings.quick()
    metres, centimetres = (
        rooms.make_problem(name, settings, 0) for name in B.datasets
    )
    np.testing.assert_allclose(
        centimetres.train[1]["depth"], 100 * metres.train[1]["depth"], rtol=1e-6
    )
    outputs = []
    for problem in (metres, centimetres):
        model = new_model(problem, "ew", 0, settings, list(problem.losses))
        result = model(problem.test[0][:4])
        outputs.append({task: numpy(it) for task, it in result.items()})
    np.testing.assert_allclose(
        outputs[1]["depth"], 100 * outputs[0]["depth"], rtol=1e-5
    )
    for task in ("segmentation", "normal"):
        np.testing.assert_array_equal(outputs[0][task], outputs[1][task])


def test_domains_are_divided(data_dir):
    settings = C.settings.quick()
    settings = dataclasses.replace(settings, num_train=40)
    problem = domains.make_problem(C.datasets[0], settings, 0, data_dir)
    sizes = {task: len(y) for task, y in problem.train[1].items()}
    assert sizes == {"mnist": 40, "fashion_mnist": 40, domains.FEW: 4}
    for task in sizes:
        parts = [
            {image.tobytes() for image in data[0][task]}
            for data in (problem.train, problem.validation, problem.test)
        ]
        assert len(parts[1]) == settings.num_validation
        assert not (parts[0] & parts[1] or parts[0] & parts[2])


def made_up(method, seed, accuracy, rho=None, validation=0.5):
    """A record that nothing was run for."""

    def tasks(value):
        return {
            task: {"accuracy": value, "ece": 0.03} for task in ("left", "right")
        }

    return {
        "method": method,
        "rho": rho,
        "seed": seed,
        "epochs": 20,
        "train": tasks(1.0),
        "validation": tasks(validation),
        "test": tasks(accuracy),
        "cpu_per_epoch": 1.0,
        "wall_per_epoch": 1.5,
        "sam_gap": {"0.1": 0.25, "0.2": 1.0},
        "conflict_ratio": 0.4,
    }


class FakeTraining:
    """Stands for training, and notes what it was asked for."""

    def __init__(self, monkeypatch):
        self.asked = []
        monkeypatch.setattr("benchmarks.study.work.train", self)
        monkeypatch.setattr(supervisor, "WorkerProcess", LocalWorker)
        monkeypatch.setitem(EXPERIMENTS, "A", MADE_UP)

    def __call__(self, problem, method, rho, seed, settings, epochs):
        self.asked.append((method.name, rho, seed, epochs))
        validation = {None: 0.5, 0.05: 0.7, 0.1: 0.8, 0.2: 0.9, 0.4: 0.6}[rho]
        record = made_up(method.name, seed, 0.5, rho, validation)
        # EW's epochs take 1 s.
        record["cpu_per_epoch"] = 1.0 + 10 * (rho or 0.0)
        return record


MADE_UP = dataclasses.replace(
    A,
    make_problem=lambda *arguments: None,
    methods=tuple(
        dataclasses.replace(it, epochs_like=("fs_mgda",))
        if it.epochs_like
        else it
        for it in A.methods
    ),
)


def work_of(runs, methods=("ew", "fs_mgda", "ew_equal_time"), **options):
    return StudyWork(MADE_UP, "multi_mnist", runs, methods=methods, **options)


def test_what_is_run(tmp_path, monkeypatch):
    training = FakeTraining(monkeypatch)
    assert do_runs(work_of(tmp_path, seeds=2))
    # The median of 1.5, 2, 3 and 5 s, 20 times.
    assert training.asked == [
        ("ew", None, 0, 20),
        ("fs_mgda", 0.05, 0, 20),
        ("fs_mgda", 0.1, 0, 20),
        ("fs_mgda", 0.2, 0, 20),
        ("fs_mgda", 0.4, 0, 20),
        ("ew_equal_time", None, 0, 50),
        ("ew", None, 1, 20),
        ("fs_mgda", 0.2, 1, 20),
        ("ew_equal_time", None, 1, 50),
    ]


def test_what_is_there_is_not_run_again(tmp_path, monkeypatch):
    training = FakeTraining(monkeypatch)
    assert not do_runs(work_of(tmp_path, seeds=1), limit=2)
    folder = tmp_path / "A" / "multi_mnist"
    files = {"ew_seed0.json", "fs_mgda_rho0.05_seed0.json", "settings.json"}
    assert {path.name for path in folder.iterdir()} == {*files, LOCK}
    assert do_runs(work_of(tmp_path, seeds=1))
    assert len(training.asked) == len(set(training.asked)) == 6
    assert do_runs(work_of(tmp_path, seeds=1))
    assert len(training.asked) == 6


def test_a_run_that_fails_is_not_the_end(tmp_path, monkeypatch, capsys):
    training = FakeTraining(monkeypatch)

    class Worker(LocalWorker):
        def content(self, job):
            is_bad = (job.method, job.rho) == ("fs_mgda", 0.1)
            return None if is_bad else super().content(job)

    monkeypatch.setattr(supervisor, "WorkerProcess", Worker)
    with pytest.raises(RuntimeError, match="Some runs have failed"):
        do_runs(work_of(tmp_path, seeds=2))
    assert "failed: fs_mgda, rho 0.1, seed 0" in capsys.readouterr().out
    # What depends on it is left.
    assert [it[1:3] for it in training.asked[1:]] == [
        (0.05, 0),
        (0.2, 0),
        (0.4, 0),
    ]


def test_other_settings_are_refused(tmp_path, monkeypatch):
    FakeTraining(monkeypatch)
    do_runs(work_of(tmp_path), limit=1)
    with pytest.raises(ValueError, match="has results with batch_size=64; now"):
        do_runs(StudyWork(QUICK["A"], "multi_mnist", tmp_path))


def test_folders_as_they_were_are_gone_on_with(tmp_path, monkeypatch):
    training = FakeTraining(monkeypatch)
    work = work_of(tmp_path, methods=["ew"], seeds=2)
    folder = tmp_path / "A" / "multi_mnist"
    folder.mkdir(parents=True)
    # In one line each, and without a lock.
    (folder / "settings.json").write_text(json.dumps(work.fixed()) + "\n")
    record = json.dumps(made_up("ew", 0, 0.5)) + "\n"
    (folder / "ew_seed0.json").write_text(record)
    assert do_runs(work)
    assert training.asked == [("ew", None, 1, 20)]


def test_what_is_needed_first_is_named(tmp_path):
    work = work_of(tmp_path, methods=["ew_equal_time"])
    with pytest.raises(ValueError, match="'fs_mgda' with rho=0.05 and seed=0"):
        do_runs(work)


def test_results_are_added_to(tmp_path, monkeypatch):
    FakeTraining(monkeypatch)
    results = tmp_path / "results"
    for seeds in (1, 2):
        # Of two machines, say: the second has other runs.
        do_runs(work_of(tmp_path / str(seeds), methods=["ew"], seeds=seeds))
    (tmp_path / "2" / "A" / "multi_mnist" / "ew_seed0.json").unlink()
    for folder in ("1", "2", "1"):
        gather(tmp_path / folder, results)
    path = results / "A_multi_mnist.json"
    runs = json.loads(path.read_text())["runs"]
    assert [record["seed"] for record in runs] == [0, 1]
    work = StudyWork(QUICK["A"], "multi_mnist", tmp_path / "quick")
    with work.folder:
        work.folder.prepare(work.fixed())
    with pytest.raises(ValueError, match="Name another folder with --results"):
        gather(tmp_path / "quick", results)
    assert json.loads(path.read_text())["runs"] == runs


def run_command(monkeypatch, *arguments):
    """Calls the program on the backend of the tests."""
    backend = keras.backend.backend()
    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    command = [*arguments, "--backend", backend, "--threads", "0"]
    monkeypatch.setattr("sys.argv", ["study", *command])
    main()


def test_quick_run(tmp_path, data_dir, monkeypatch, capsys):
    methods = ["single", "fs_mgda"]
    run_command(
        monkeypatch,
        *("run", "A", "--dataset", "multi_mnist", "--quick", "--limit", "2"),
        *("--data-dir", data_dir, "--runs", str(tmp_path)),
        *("--methods", *methods),
    )
    assert capsys.readouterr().out.endswith("A multi_mnist: not finished\n")
    results, docs = tmp_path / "results", tmp_path / "docs"
    gather(tmp_path, results)
    found = json.loads((results / "A_multi_mnist.json").read_text())
    assert found["settings"]["backend"] == keras.backend.backend()
    assert sorted(it["method"] for it in found["runs"]) == sorted(methods)
    for record in found["runs"]:
        for split in ("train", "validation", "test"):
            for task in ("left", "right"):
                right = 16 * record[split][task]["accuracy"]
                assert right == round(right) and 0 <= right <= 16
        # Uphill, at the beginning of training.
        assert 0.0 < record["sam_gap"]["0.05"] < record["sam_gap"]["0.1"]
        assert record["cpu_per_epoch"] > 0.0
        is_single = record["method"] == "single"
        assert is_single == ("conflict_ratio" not in record)
    write_report(results, docs, docs)
    page = (docs / "LABBOOK.md").read_text()
    assert row(page, "A", "`multi_mnist`")[0].startswith("2 of ")


def test_trace_prints_what_the_tasks_did(monkeypatch, capsys):
    # As if it were an experiment: numbers in closed form.
    problem = linear_problem()
    quick = dataclasses.replace(
        QUICK["A"], make_problem=lambda *arguments: problem
    )
    monkeypatch.setitem(EXPERIMENTS, "A", quick)
    run_command(monkeypatch, "trace", "A", "--method", "pcgrad", "--seed", "3")
    page = capsys.readouterr().out
    printed = [float(cell) for cell in row(page, "1")]
    # One batch has all samples: its loss is that of the first weights.
    model = new_model(problem, "ew", 3, quick.settings, ["a", "b"])
    x, labels = problem.train
    model(x)
    trunk = numpy(model.shared_variables[0]).astype("float64")
    losses, norms = [], []
    for task in ("a", "b"):
        head = numpy(model.task_variables[task][0]).astype("float64")
        error = x @ trunk @ head - labels[task]
        losses.append(np.mean(error**2))
        norms.append(np.linalg.norm(2 / len(x) * x.T @ error @ head.T))
    # Two digits are printed.
    assert printed == pytest.approx([*losses, 1.0, 1.0, *norms], rel=0.05)


def test_trace_wants_a_radius_where_there_is_one(monkeypatch):
    command = "trace", "A", "--quick", "--method"
    with pytest.raises(SystemExit, match="fs_mgda has a radius: add --rho"):
        run_command(monkeypatch, *command, "fs_mgda")
    with pytest.raises(SystemExit, match="ew has no radius: leave out --rho"):
        run_command(monkeypatch, *command, "ew", "--rho", "0.1")
    with pytest.raises(SystemExit, match="--method must be one of ew, "):
        run_command(monkeypatch, *command, "single")


@pytest.fixture
def made_up_results(tmp_path):
    settings = {
        "experiment": "A",
        "dataset": "multi_fashion",
        **dataclasses.asdict(A.settings),
        "rhos": [0.1, 0.2],
        "backend": "made up",
        "keras": "0",
        "keras_mtl": "0",
    }
    folder = StudyFolder(tmp_path / "runs" / "A" / "multi_fashion")
    with folder:
        folder.prepare(settings)
    records = [
        # Better on test images, but those have no say.
        made_up("fs_cagrad", 0, 0.99, 0.1, 0.8),
        # One radius is missing: nothing can be chosen yet.
        made_up("fs_mgda", 0, 0.9, 0.1, 0.8),
    ]
    for seed, (plain, flat) in enumerate(
        ((0.80, 0.83), (0.82, 0.84), (0.81, 0.85))
    ):
        records.append(made_up("cagrad", seed, plain))
        records.append(made_up("fs_cagrad", seed, flat, 0.2, 0.9))
    for number, record in enumerate(records):
        path = folder.path / f"{number}.json"
        folder.write(path, json.dumps(record))
    gather(tmp_path / "runs", tmp_path / "results")
    return tmp_path / "results"


def row(page, *names):
    cells = [
        [cell.strip() for cell in line.strip("| ").split("|")]
        for line in page.splitlines()
        if line.startswith("|")
    ]
    (found,) = [line for line in cells if line[: len(names)] == list(names)]
    return found[len(names) :]


def test_page_of_made_up_results(made_up_results, tmp_path):
    (made_up_results / "reading.md").write_text("## Of it\n\nGood.\n")
    write_report(made_up_results, tmp_path / "docs", tmp_path / "book")
    short = (tmp_path / "docs" / "study.md").read_text()
    assert "\n\n## Of it\n\nGood.\n\n## What this does not show" in short
    page = (tmp_path / "book" / "LABBOOK.md").read_text()
    part = page[page.index("### `multi_fashion`") :]
    part = part[: part.index("### `multi_fashion_mnist`")]
    # 3, 2 and 4 points: 3 +- t(0.975, 2) / sqrt(3), p = 2 P(T > 3 sqrt(3)).
    width = stats.t.ppf(0.975, 2) / np.sqrt(3)
    p_value = 2 * stats.t.sf(3 * np.sqrt(3), 2)
    assert row(part, "CAGrad + FS-MTL", "CAGrad") == [
        f"**+3.00 ± {width:.2f}**",
        f"{p_value:.3f}",
        "3",
        "1.00 to 1.00",
    ]
    results = row(part, "CAGrad + FS-MTL", f"84.0 ± {width:.1f}")
    assert results[1:3] == [f"84.00 ± {width:.2f}", "100.0"]
    assert results[-4:] == ["0.2", "20", "1.00", "3"]
    assert row(part, "MGDA + FS-MTL", "MGDA")[0] == "not run"
    assert (
        "- FS-MTL against its base: higher in 1 of 1 (and 3 not run); the "
        "95 % interval is above 0 in 1, below 0 in 0 of them."
    ) in part
    assert "- FS-MTL against direct: not run." in part
    assert row(short, "CAGrad") == [f"**+3.00 ± {width:.2f}**"]
    assert row(short, "MGDA") == ["not run"]
    assert "### `multi_mnist`\n\nNot run." in page
    # 18 methods with 5 seeds, and 10 radii that are tried once.
    progress = row(page, "A", "`multi_fashion`")
    assert progress == ["8 of 100", "3", "made up, Keras 0, keras_mtl 0"]


def test_the_page_does_not_change_by_itself(made_up_results, tmp_path):
    contents = []
    for _ in range(2):
        write_report(made_up_results, tmp_path, tmp_path)
        plot = tmp_path / "assets" / "study_rho_multi_fashion.svg"
        contents.append(
            ((tmp_path / "LABBOOK.md").read_bytes(), plot.read_text())
        )
    assert contents[0] == contents[1]
    assert ">CAGrad + FS-MTL</text>" in contents[0][1]
    assert len(contents[0][1]) < 30_000


def test_the_pages_are_those_of_the_results(tmp_path):
    write_report(FOLDER / "results", tmp_path, tmp_path)
    # If not: `python -m benchmarks.study report`.
    for page in (ROOT / "docs" / "study.md", FOLDER / "LABBOOK.md"):
        assert (tmp_path / page.name).read_text() == page.read_text()


def test_wrong_names_end_the_program(monkeypatch, capsys):
    with pytest.raises(SystemExit, match="--dataset must be one of multi_mni"):
        run_command(monkeypatch, "run", "A", "--dataset", "cifar")
    with pytest.raises(SystemExit, match="--methods must be one of single, ew"):
        run_command(monkeypatch, "run", "C", "--methods", "ew", "sgd")
    with pytest.raises(SystemExit):
        parse(["run", "D"])
    assert "invalid choice: 'D'" in capsys.readouterr().err
