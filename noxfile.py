"""The tests with the oldest and the newest supported versions, and coverage.

```shell
pip install nox
nox --list
nox --session "tests(torch, lowest)" -- tests/training
nox --session coverage
nox --session mutation
```

Sessions take what follows `--` as arguments of pytest. Pythons that are not
installed are skipped.
"""

from pathlib import Path

import nox

BACKENDS = ("jax", "tensorflow", "torch")

#: By name: the file that says which versions.
VERSIONS = {
    "lowest": "requirements/lowest.txt",
    "current": "requirements/development.txt",
    "newest": "requirements/newest.txt",
}


@nox.session(python=["3.11", "3.12", "3.13"])
@nox.parametrize("backend", BACKENDS, ids=BACKENDS)
@nox.parametrize("versions", list(VERSIONS), ids=list(VERSIONS))
def tests(session, versions, backend):
    """Runs the tests on one backend, with all three installed."""
    session.install("-r", VERSIONS[versions], "-e", ".[test]")
    session.run(
        "python",
        "-m",
        "pytest",
        *session.posargs,
        env={"KERAS_BACKEND": backend},
    )


@nox.session
def coverage(session):
    """Counts the lines and branches that the tests of all backends run."""
    requirements = VERSIONS["current"]
    session.install("-r", requirements, "-e", ".[test,coverage]")
    session.run("coverage", "erase")
    for backend in BACKENDS:
        session.run(
            "python",
            "-m",
            "pytest",
            # Workers write what they saw before they end: one that takes long
            # to end is killed.
            "--cov",
            "--cov-report=",
            *session.posargs,
            env={
                "KERAS_BACKEND": backend,
                # Scripts that tests start run in other folders.
                "COVERAGE_FILE": str(Path(f".coverage.{backend}").absolute()),
            },
        )
    session.run("coverage", "combine")
    session.run("coverage", "report", "--skip-covered", "--fail-under=95")


@nox.session
def mutation(session):
    """Changes the code, and looks whether the tests notice."""
    requirements = VERSIONS["current"]
    session.install("-r", requirements, "-e", ".[test,mutation]")
    session.run("python", "scripts/mutation", *session.posargs)
