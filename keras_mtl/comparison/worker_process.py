"""The parent's end of a worker."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from typing import Any

#: What a worker is started by.
COMMAND = (sys.executable, "-m", "keras_mtl.comparison.worker")

#: How much of what a worker has printed is shown when it fails.
LINES_SHOWN = 15
LETTERS_SHOWN = 4000
BYTES_READ = 2**16

#: Seconds to wait for the end of a pipe that nobody has any longer, but for
#: processes that have left the worker's group and are not ended with it.
PATIENCE = 2.0

#: Seconds for the end of a worker that has done its work. The interpreter waits
#: for threads and processes of the user's code, which may never end.
FAREWELL = 30.0


class WorkerProcess:
    """A process that does jobs on one backend.

    It has a group of its own, with the processes that the user's code starts
    in it: they are ended when it ends, in whatever way.

    Args:
        backend: The backend.
        task: What the work is, told to the worker first.
        messages: Where its messages go, as pairs of the worker and a dict,
            with `{"event": "exit"}` as the last.
    """

    def __init__(
        self,
        backend: str,
        task: Mapping[str, Any],
        messages: "queue.SimpleQueue[tuple[WorkerProcess, dict[str, Any]]]",
    ):
        self.backend = backend
        self.job: Any = None
        self.is_done = False
        self.refusal: str | None = None
        self._printed = tempfile.TemporaryFile()
        self._process: Any = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            env=_environment(backend),
            # Ctrl-C comes to the parent alone, which then ends all.
            start_new_session=True,
        )
        self._tell(task)
        self._listener = threading.Thread(
            target=self._listen, args=(messages,), daemon=True
        )
        self._listener.start()
        self._watcher = threading.Thread(
            target=self._watch, args=(messages,), daemon=True
        )
        self._watcher.start()

    def give(self, job: Any) -> None:
        """Gives the worker a job; `None` tells it that there is none left."""
        self.job = job
        self._tell(job)

    def stop(self) -> None:
        """Ends the worker and what it has started; waits for their end."""
        self._kill()
        self._close()

    def finish(self) -> None:
        """Notes that the worker has done its work, and sees to its end."""
        self.is_done = True
        timer = threading.Timer(FAREWELL, self._kill)
        timer.daemon = True
        timer.start()

    def refuse(self, reason: str) -> None:
        """Ends the worker, which has then failed for that reason."""
        self.refusal = reason
        self._kill()

    def failure(self) -> str | None:
        """Why the worker, which has ended, has failed; `None` if it has not."""
        status = self._process.wait()
        size = self._printed.seek(0, os.SEEK_END)
        self._printed.seek(max(0, size - BYTES_READ))
        text = self._printed.read().decode(errors="replace")
        self._close()
        if self.is_done:
            return None
        if self.refusal is not None:
            return self.refusal
        last = "\n".join(text.splitlines()[-LINES_SHOWN:])[-LETTERS_SHOWN:]
        return f"The process ended {_how(status)}.\n{last}".strip()

    def _kill(self) -> None:
        if self._process.poll() is None:
            _kill_group(self._process.pid)
            self._process.kill()

    def _close(self) -> None:
        # The other end may be gone with what was not read.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._watcher.join()
        self._printed.close()

    def _tell(self, value: Any) -> None:
        line = json.dumps(value) + "\n"
        # If it has ended, `failure` will tell why.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()

    def _listen(self, messages: Any) -> None:
        # Closed here, for nobody else knows when it is not read any longer.
        with self._process.stdout:
            self._read(self._process.stdout.fileno(), messages)

    def _read(self, descriptor: int, messages: Any) -> None:
        rest = b""
        while chunk := os.read(descriptor, BYTES_READ):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                try:
                    messages.put((self, json.loads(line)))
                except ValueError:
                    text = f"It sent what is no message: {line[:60]!r}"
                    messages.put((self, {"event": "refused", "message": text}))
                    self._kill()
                    return

    def _watch(self, messages: Any) -> None:
        self._process.wait()
        # Those who are left have the pipe, too, which would never end.
        _kill_group(self._process.pid)
        self._listener.join(PATIENCE)
        messages.put((self, {"event": "exit"}))


def _kill_group(leader: int) -> None:
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


def _how(status: int) -> str:
    if status == 0:
        return "with status 0 before it had done its work"
    if status > 0:
        return f"with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = str(-status)
    return f"by signal {name}"


def _environment(backend: str) -> dict[str, str]:
    """The parent's, with the backend and without TensorFlow's notes."""
    return {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **os.environ,
        "KERAS_BACKEND": backend,
    }
