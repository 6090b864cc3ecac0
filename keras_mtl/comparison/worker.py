"""The worker: does on one backend what the parent asks for.

Started as `python -m keras_mtl.comparison.worker` with `KERAS_BACKEND` set.
The parent writes lines of JSON to its standard input: first what the work is,
then one job at a time, and `null` when there is none left. The worker answers
on its standard output with one message a line; what the user's code prints
goes to the standard error instead.
"""

import json
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import IO
from typing import Any

from keras_mtl.comparison.identity import OtherProblemError
from keras_mtl.comparison.import_path import import_object
from keras_mtl.comparison.results_folder import ResultsFolder
from keras_mtl.comparison.work import Work
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
        self._jobs: queue.SimpleQueue[list[Any] | None] = queue.SimpleQueue()
        threading.Thread(
            target=self._listen, args=(commands,), daemon=True
        ).start()

    def next_job(self) -> list[Any] | None:
        """Waits for a job; returns its fields, `None` if none is left."""
        return self._jobs.get()

    def send(self, event: str, **content: Any) -> None:
        """Sends a message."""
        line = json.dumps({"event": event, **content}) + "\n"
        self.messages.write(line.encode())
        self.messages.flush()

    def _listen(self, commands: IO[bytes]) -> None:
        while line := commands.readline():
            self._jobs.put(json.loads(line))
        # Not `sys.exit`, which would end this thread alone. Files are safe:
        # they are renamed into place when they are complete.
        if os.name == "posix" and os.getpgrp() == os.getpid():
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os._exit(1)


def main() -> int:
    """Does the jobs that the parent gives; returns the exit status."""
    parent = Parent(_take_standard_input(), _take_standard_output())
    try:
        kind = import_object("work", parent.task["work"])
        work: Work = kind.from_arguments(parent.task["arguments"])
        # Now, so that mistakes in it are found before anything is written.
        identity = work.prepare()
    except (ValueError, ImportError, FileNotFoundError) as error:
        parent.send("refused", message=str(error))
        raise
    parent.send("ready", identity=identity)

    def after_epoch(epoch: int, logs: dict[str, float | None]) -> None:
        parent.send("epoch", epoch=epoch, logs=logs)

    while (fields := parent.next_job()) is not None:
        job = work.job(*fields)
        try:
            content = work.do(job, after_epoch)
        except OtherProblemError as error:
            parent.send("refused", message=str(error))
            raise
        _write(work.folder, work.folder.file_of(job), content, parent)
        parent.send("end")
    parent.send("done")
    return 0


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


if __name__ == "__main__":
    sys.exit(main())
