"""The tests with the oldest and the newest supported versions.

```shell
pip install nox
nox --list
nox --session "tests(torch, lowest)" -- tests/training
```

Sessions take what follows `--` as arguments of pytest. Pythons that are not
installed are skipped.
"""

import nox

BACKENDS = ("jax", "tensorflow", "torch")

#: By name: the file that says which versions.
VERSIONS = {
    "lowest": "requirements/lowest.txt",
    "current": "requirements/development.txt",
}


@nox.session
def mutation(session):
    """Changes the code, and looks whether the tests notice."""
    requirements = VERSIONS["current"]
    session.install("-r", requirements, "-e", ".[test,mutation]")
    session.run("python", "scripts/mutation", *session.posargs)


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
