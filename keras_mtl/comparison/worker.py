"""The worker: trains on one backend what the parent asks for.

Started as `python -m keras_mtl.comparison.worker` with `KERAS_BACKEND` set.
The parent writes lines of JSON to its standard input: the task first, and the
word to go when the folder is there. The worker answers on its standard output
with one message a line; what the user's code prints goes to the standard error
instead.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import IO
from typing import Any

from keras_mtl.comparison import agreement
from keras_mtl.comparison.identity import OtherProblemError
from keras_mtl.comparison.identity import data_identity
from keras_mtl.comparison.identity import model_identity
from keras_mtl.comparison.jobs import Job
from keras_mtl.comparison.problem import Data
from keras_mtl.comparison.problem import load_data
from keras_mtl.comparison.results_folder import SCHEMA
from keras_mtl.comparison.results_folder import ResultsFolder
from keras_mtl.comparison.results_folder import json_text
from keras_mtl.comparison.settings import Settings
from keras_mtl.comparison.training_run import train
from keras_mtl.comparison.versions import versions_of
from keras_mtl.terminal import described


class Parent:
    """The connection with the process that started this one.

    When that process ends, in whatever way, the system closes the pipe, and
    this one ends, too, with all that it has started: nobody waits for its
    results any longer.

    Args:
        commands: Stream of the parent's lines, unbuffered: a buffer has a
            lock, which must not be held when the interpreter ends.
        messages: Stream of the answers.
    """

    def __init__(self, commands: IO[bytes], messages: IO[bytes]):
        self.messages = messages
        self.task = json.loads(commands.readline())
        self.writes_start = False
        self.may_go = threading.Event()
        threading.Thread(
            target=self._listen, args=(commands,), daemon=True
        ).start()

    def send(self, event: str, **content: Any) -> None:
        """Sends a message."""
        line = json.dumps({"event": event, **content}) + "\n"
        self.messages.write(line.encode())
        self.messages.flush()

    def _listen(self, commands: IO[bytes]) -> None:
        while line := commands.readline():
            self.writes_start = json.loads(line)["writes_start"]
            self.may_go.set()
        # Not `sys.exit`, which would end this thread alone. Files are safe:
        # they are renamed into place when they are complete.
        if os.name == "posix" and os.getpgrp() == os.getpid():
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os._exit(1)


def main() -> int:
    """Does the jobs of the task; returns the exit status."""
    parent = Parent(_take_standard_input(), _take_standard_output())
    settings = Settings(**_tuples(parent.task["settings"]))
    folder = ResultsFolder(settings.output)
    try:
        data = load_data(settings)
        # Now, so that mistakes in it are found before anything is written.
        identity = {
            **model_identity(agreement.built_model(settings, data)),
            **data_identity(data),
        }
    except (ValueError, ImportError, FileNotFoundError) as error:
        parent.send("refused", message=str(error))
        raise
    parent.send("ready", identity=identity)
    parent.may_go.wait()
    if parent.writes_start:
        content = agreement.start_weights(settings, data)
        _write(folder, folder.start, content, parent)
        parent.send("start_written")
    for item in parent.task["jobs"]:
        job = Job(*item)
        parent.send("begin", job=list(job))
        try:
            done = _do(job, settings, data, folder, parent, identity)
        except OtherProblemError as error:
            parent.send("refused", message=str(error))
            raise
        _write(folder, folder.file_of(job), done, parent)
        parent.send("end", job=list(job))
    parent.send("done")
    return 0


def _do(
    job: Job,
    settings: Settings,
    data: Data,
    folder: ResultsFolder,
    parent: Parent,
    identity: dict[str, Any],
) -> bytes | str:
    """Returns the content of the job's file."""
    if job.seed is None:
        return agreement.take_steps(settings, data, job.strategy, folder.start)

    def after_epoch(epoch, logs):
        parent.send("epoch", epoch=epoch, logs=logs)

    record = train(
        settings, data, job.strategy, job.seed, after_epoch, identity
    )
    versions = versions_of(job.backend)
    return json_text(
        {
            "schema": SCHEMA,
            "backend": job.backend,
            "versions": versions,
            **record,
        }
    )


def _write(
    folder: ResultsFolder, path: Path, content: bytes | str, parent: Parent
) -> None:
    try:
        folder.write(path, content)
    except (OSError, ValueError) as error:
        # The disk is full, for instance: no traceback makes that clearer.
        parent.send("refused", message=described(error))
        raise


def _take_standard_input() -> IO[bytes]:
    """Keeps the standard input for commands; the user's code reads nothing."""
    commands = os.fdopen(os.dup(0), "rb", buffering=0)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    return commands


def _take_standard_output() -> IO[bytes]:
    """Keeps the standard output for messages; prints go to the error's."""
    messages = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return messages


def _tuples(settings: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no tuples."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in settings.items()
    }


if __name__ == "__main__":
    sys.exit(main())
