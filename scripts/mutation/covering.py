"""Which tests run which lines, and how long they take."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest


@dataclasses.dataclass
class Covering:
    """The tests of each line.

    Attributes:
        seconds: By test.
        lines: By file and number of the line: tests that run it.
    """

    seconds: dict[str, float]
    lines: dict[str, dict[int, list[str]]]

    def tests_of(
        self, file: str, first: int, last: int, limit: float
    ) -> list[str]:
        """Returns tests of some lines, the most telling first.

        Lines that run on import only have none.

        Args:
            file: Path from the root.
            first: The first line.
            last: The last line.
            limit: Seconds that they may take together.
        """
        found = {
            test
            for number in range(first, last + 1)
            for test in self.lines.get(file, {}).get(number, ())
        }
        by_file: dict[str, list[str]] = {}
        for test in sorted(found, key=lambda test: self.seconds[test]):
            by_file.setdefault(test.partition("::")[0], []).append(test)
        own = f"test_{Path(file).stem}"

        def order(item):
            path, tests = item
            return Path(path).stem != own, sum(map(self.seconds.get, tests))

        # What a file of tests makes once is made once.
        ordered, total = [], 0.0
        for _, tests in sorted(by_file.items(), key=order):
            for test in tests:
                total += self.seconds[test]
                if ordered and total > limit:
                    return ordered
                ordered.append(test)
        return ordered

    def save(self, path: Path) -> None:
        """Writes a file for `load`."""
        tests = list(self.seconds)
        places = {test: place for place, test in enumerate(tests)}
        lines = {
            file: {
                number: [places[test] for test in found]
                for number, found in by_line.items()
            }
            for file, by_line in self.lines.items()
        }
        path.write_text(
            json.dumps({"seconds": list(self.seconds.items()), "lines": lines})
        )

    @classmethod
    def load(cls, path: Path) -> "Covering":
        """Reads what `save` wrote."""
        data = json.loads(path.read_text())
        tests = [test for test, _ in data["seconds"]]
        lines = {
            file: {
                int(number): [tests[place] for place in places]
                for number, places in by_line.items()
            }
            for file, by_line in data["lines"].items()
        }
        return cls(dict(data["seconds"]), lines)

    def tests_named(self, name: str) -> list[str]:
        """Returns the tests of files `test_<name>.py`."""
        return [
            test
            for test in self.seconds
            if Path(test.partition("::")[0]).stem == f"test_{name}"
        ]


class CoveringPlugin:
    """Plugin of pytest that notes which test runs which lines.

    What a fixture of a wider scope than a test runs counts for all tests
    that take it, not only for the first.

    Args:
        coverage: A `coverage.Coverage` that has been started.
    """

    def __init__(self, coverage: Any):
        self.coverage = coverage
        self.seconds: dict[str, float] = {}
        self.takers: dict[str, list[str]] = {}
        self._test = ""

    def pytest_collection_modifyitems(self, items):
        for item in items:
            for name in item.fixturenames:
                self.takers.setdefault(f"fixture {name}", []).append(
                    item.nodeid
                )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self._test = item.nodeid
        self.coverage.switch_context(item.nodeid)
        result = yield
        self.coverage.switch_context("")
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef):
        if fixturedef.scope == "function":
            return (yield)
        self.coverage.switch_context(f"fixture {fixturedef.argname}")
        result = yield
        self.coverage.switch_context(self._test)
        return result

    def pytest_runtest_logreport(self, report):
        self.seconds.setdefault(report.nodeid, 0.0)
        self.seconds[report.nodeid] += report.duration

    def covering(self, copy: Path) -> Covering:
        """Returns what was noted, by paths from the folder `copy`."""
        data = self.coverage.get_data()
        lines = {}
        for name in data.measured_files():
            lines[Path(name).relative_to(copy).as_posix()] = {
                number: sorted(
                    {
                        test
                        for context in contexts
                        for test in self.takers.get(context, [context])
                        if test in self.seconds
                    }
                )
                for number, contexts in data.contexts_by_lineno(name).items()
            }
        return Covering(self.seconds, lines)
