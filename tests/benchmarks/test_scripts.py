"""Runs the benchmarks that need no long time, shortened."""

import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

# All go through the same code on each backend, but for the timed loops; what is
# slow to compile is run on torch.

MLP = ["--network", "mlp"]
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def output_of(script, *arguments):
    """Returns what a script prints on the backend of the tests."""
    command = [sys.executable, str(BENCHMARKS / script), "--quick"]
    command += ["--backend", keras.backend.backend(), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow_on("jax", "tensorflow")
@pytest.mark.parametrize(
    ("script", "options", "names"),
    [
        ("monitor_time.py", MLP, ["EW", "EW, again", "EW, monitored"]),
        ("growth.py", ["--axis", "tasks"], ["plain Keras", "MGDA"]),
        (
            "step_time.py",
            ["--network", "encoder_decoder", "--only", "MGDA"],
            ["floor: task gradients", "MGDA"],
        ),
        (
            "representation_time.py",
            MLP,
            [
                "plain Keras",
                "MGDA, parameters",
                "MGDA, representation",
                "MGDA, last shared",
                "MGDA, every tenth",
            ],
        ),
    ],
)
def test_steps_are_timed(script, options, names):
    output = output_of(script, *options)
    rows = re.findall(r"^\| (\S.*?) +\| +(\d+\.\d+) \|", output, re.MULTILINE)
    assert [name for name, _ in rows] == names
    assert all(float(time) > 0 for _, time in rows)


def test_first_steps_are_timed():
    output = output_of("first_step.py")
    rows = re.findall(
        r"^\| (\S.*?) +\| +([\d.]+) \| +([\d.]*) \| +([\d.]+) \|$",
        output,
        re.MULTILINE,
    )
    assert [name for name, *_ in rows] == ["plain Keras", "MGDA"]
    for _, whole, compiled, _ in rows:
        is_told = keras.backend.backend() == "jax"
        assert bool(compiled) == is_told
        assert 0 <= float(compiled or 0) <= float(whole)


@pytest.mark.parametrize(
    ("backend", "products"),
    [
        ("torch", "aten::mm"),
        # Products of matrices are fused; which of them is XLA's choice.
        pytest.param("jax", "fusion", marks=pytest.mark.slow_on("jax")),
    ],
)
def test_step_profile(backend, products):
    if keras.backend.backend() != backend:
        pytest.skip("Each backend has its own profiler.")
    options = ["--only", "MGDA", "--profile", "2"]
    output = output_of("step_time.py", *MLP, *options)
    # Without the two lines at its head.
    table = re.findall(r"^\| (.+?) +\|(.*)\|$", output, re.MULTILINE)[2:]
    assert any(products in name for name, _ in table)
    times = {
        name: [float(cell) for cell in row.split("|")] for name, row in table
    }
    sums = times.pop("sum")
    # The floor and MGDA. All rows together are the last one.
    assert len(sums) == 2 and min(sums) > 0
    assert min(min(row) for row in times.values()) > -0.01
    for column, total in enumerate(sums):
        rows = sum(row[column] for row in times.values())
        assert rows == pytest.approx(total, abs=0.01 * len(times))


def test_tensorflow_has_no_profile():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("The others have one.")
    with pytest.raises(AssertionError, match="--backend jax or torch"):
        output_of("step_time.py", *MLP, "--profile", "2")


@pytest.mark.slow_on("jax", "tensorflow")
def test_peer_time():
    pytest.importorskip("torchjd")
    output = output_of("peer_time.py", "--network", "lenet")
    differences = dict(
        re.findall(r"^(\w+): updates differ by (\S+)", output, re.MULTILINE)
    )
    assert float(differences["upgrad"]) < 1e-3


def test_peer_profile():
    if keras.backend.backend() != "torch":
        pytest.skip("The profile is torch's.")
    pytest.importorskip("torchjd")
    output = output_of("peer_time.py", "--network", "mlp", "--profile", "2")
    (sums,) = re.findall(r"^\| sum +\|(.*)\|$", output, re.MULTILINE)
    times = [float(cell) for cell in sums.split("|")]
    # Plain Keras, plain torch, and two methods with their peers.
    assert len(times) == 6 and min(times) > 0


@pytest.mark.slow_on("jax", "tensorflow")
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory():
    output = output_of("memory.py")
    rows = re.findall(r"^\| (.*?) +\| +([+-]*[\d.]+)", output, re.MULTILINE)
    names = [name for name, _ in rows]
    assert names[1:] == ["plain Keras", 'MGDA, memory="low"']


@pytest.mark.slow_on("jax", "tensorflow")
def test_import_time():
    output = output_of("import_time.py")
    assert re.search(r"^keras_mtl adds -?\d+ ms", output, re.MULTILINE)


def test_solvers():
    for package in ("quadprog", "scipy"):
        pytest.importorskip(package)
    output = output_of("solvers.py", "--no-peers", "--seconds", "0")
    cells = re.findall(
        r"^\| (\w+) +\| +random \| (\S+) \((\S+)\)", output, re.MULTILINE
    )
    # Eleven directions, six objectives.
    assert len(cells) == 17
    # Two tasks with nothing singular: as exact as float32 is.
    for name, error, rounding in cells:
        assert float(error) < 1e-5 and float(rounding) < 1e-5, name


@pytest.mark.slow_on("jax", "tensorflow")
def test_deviations():
    output = output_of("deviations.py")
    rows = re.findall(
        r"^\| (\S.*?) +\| +exact solution \|.* (\S+) \|$", output, re.MULTILINE
    )
    assert [name for name, _ in rows] == [
        "MGDA",
        "CAGrad",
        "NashMTL",
        "FairGrad",
    ]
    assert output.count("TorchJD") >= 30
    assert output.count("LibMTL") >= 15


@pytest.mark.slow_on("jax", "tensorflow")
def test_state():
    output = output_of("state.py", "--no-peers")
    assert "Ours: 3 of 3 go on the same" in output
    assert len(re.findall(r"\| +yes \| +yes \|$", output, re.MULTILINE)) == 3
