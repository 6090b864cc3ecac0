"""Runs tests on copies of the package, each time in a forked process.

A new process would import a framework each time, for longer than most mutants
live.
"""

import compileall
import importlib
import json
import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from covering import Covering
from covering import CoveringPlugin
from hypothesis import Phase
from hypothesis import settings
from places import KEYWORDS
from places import LEFT_OUT
from places import ROOT
from places import TESTS

#: Imported before any process is forked. None imports the package.
PRELOADED = ("keras", "torch", "scipy.optimize", "sklearn.datasets", "cvxpy")

#: A mutant is taken for one that never ends after so many times the seconds
#: that its tests take without it, and these.
PATIENCE, AT_LEAST = 5, 30

ARGUMENTS = (
    "-q",
    "-n0",
    "-pno:cacheprovider",
    "--tb=short",
    # Of plugins that were imported before the process was forked.
    "-Wignore::pytest.PytestAssertRewriteWarning",
)


def preload() -> None:
    """Imports what all processes need."""
    for module in PRELOADED:
        importlib.import_module(module)


class Selection:
    """Plugin of pytest that runs some tests in their order.

    Args:
        tests: Ids of the tests, or `None` for all.
    """

    def __init__(self, tests: Sequence[str] | None = None):
        self.tests = tests
        self.failed = ""

    def pytest_sessionstart(self):
        # Which example fails is all that matters, not the smallest.
        settings.register_profile(
            "mutation",
            settings.get_profile("repeatable"),
            phases=(Phase.explicit, Phase.generate),
        )
        settings.load_profile("mutation")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        if self.tests is None:
            return
        places = {test: place for place, test in enumerate(self.tests)}
        chosen = [item for item in items if item.nodeid in places]
        items[:] = sorted(chosen, key=lambda item: places[item.nodeid])

    def pytest_runtest_logreport(self, report):
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collectreport(self, report):
        if report.failed and not self.failed:
            self.failed = report.nodeid


class Trials:
    """Runs tests on a copy of the package.

    Args:
        folder: Where the copy and the logs are written.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.copy = folder / "copy"
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(ROOT / "keras_mtl", self.copy / "keras_mtl")
        compileall.compile_dir(self.copy, quiet=2)

    def find_covering(self) -> Covering:
        """Returns the tests of each line, from a run of all of them.

        Raises:
            RuntimeError: If a test fails.
        """
        path = self.folder / "covering.json"
        path.unlink(missing_ok=True)

        def work():
            from coverage import Coverage

            coverage = Coverage(
                data_file=None,
                source=[str(self.copy / "keras_mtl")],
                config_file=False,
            )
            coverage.start()
            plugin = CoveringPlugin(coverage)
            ignored = [f"--ignore={name}" for name in LEFT_OUT]
            code = pytest.main(
                [*ARGUMENTS, "-k", KEYWORDS, *ignored, *TESTS],
                plugins=[Selection(), plugin],
            )
            coverage.stop()
            if code == 0:
                plugin.covering(self.copy).save(path)

        log = self.folder / "covering.log"
        self._in_child(work, log, None)
        if not path.exists():
            raise RuntimeError(
                f"Without mutants all tests must pass: see {log}"
            )
        return Covering.load(path)

    def run(
        self, file: str, source: str, tests: Sequence[str], seconds: float
    ) -> tuple[str, str]:
        """Runs tests on the package with one file changed.

        Args:
            file: Path of the file from the root.
            source: The changed file.
            tests: Ids of the tests, in order.
            seconds: How long they take without the change.

        Returns:
            `"killed"` and the test that failed, `"timeout"` and an empty
            text, or `"survived"` and an empty text.
        """
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        files = dict.fromkeys(test.partition("::")[0] for test in tests)

        def work():
            selection = Selection(tests)
            code = pytest.main([*ARGUMENTS, "-x", *files], plugins=[selection])
            where = importlib.import_module("keras_mtl").__file__
            report.write_text(json.dumps([int(code), selection.failed, where]))

        limit = PATIENCE * seconds + AT_LEAST
        self._write(file, source)
        ended = self._in_child(work, self.folder / "trial.log", limit)
        self._write(file, (ROOT / file).read_text())
        if not ended:
            return "timeout", ""
        if not report.exists():
            # The process itself came to an end.
            return "killed", ""
        code, failed, where = json.loads(report.read_text())
        if self.copy not in Path(where).parents:
            raise RuntimeError(f"The package was imported from {where}.")
        if code == pytest.ExitCode.NO_TESTS_COLLECTED:
            raise RuntimeError(f"No test was found of: {', '.join(tests)}")
        return ("killed", failed) if code else ("survived", "")

    def _write(self, file, source):
        path = self.copy / file
        path.write_text(source)
        # Written within one second, two files would share it.
        for bytecode in path.parent.glob(f"__pycache__/{path.stem}.*"):
            bytecode.unlink()

    def _in_child(
        self, work: Callable[[], Any], log: Path, seconds: float | None
    ) -> bool:
        """Runs a function in a forked process; returns whether it ended."""

        def child():
            with open(log, "w") as stream:
                for descriptor in (1, 2):
                    os.dup2(stream.fileno(), descriptor)
            # Of the tests, with their assertions rewritten.
            sys.dont_write_bytecode = False
            # The tests are imported from the root, but not the package.
            sys.path[:0] = [str(self.copy), str(ROOT)]
            os.environ["PYTHONPATH"] = str(self.copy)
            os.chdir(ROOT)
            work()

        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            return False
        return True
