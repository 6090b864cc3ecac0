"""Runs the benchmark of the data sets, shortened."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "data_loading.py"


def test_all_ways_are_timed():
    for package in ("tensorflow", "tensorflow_datasets"):
        pytest.importorskip(package)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick"],
        capture_output=True,
        text=True,
        env={**os.environ},
    )
    assert done.returncode == 0, done.stderr
    rates = re.findall(r"^\| (\S.*) \| ([\d,]+) \|$", done.stdout, re.MULTILINE)
    assert len(rates) == 4
    assert all(int(rate.replace(",", "")) > 0 for _, rate in rates)
