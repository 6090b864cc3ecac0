"""The parent's end of a worker."""

import contextlib
import dataclasses
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import Any

from keras_mtl.comparison.jobs import Job
from keras_mtl.comparison.settings import Settings

#: How much of what a worker has printed is shown when it fails.
LINES_SHOWN = 15


class WorkerProcess:
    """A process that does jobs on one backend.

    Args:
        backend: The backend.
        settings: The settings.
        jobs: What to do, all of this backend.
        messages: Where its messages go, as pairs of the worker and a dict,
            with `{"event": "exit"}` as the last.
    """

    def __init__(
        self,
        backend: str,
        settings: Settings,
        jobs: Sequence[Job],
        messages: "queue.SimpleQueue[tuple[WorkerProcess, dict[str, Any]]]",
    ):
        self.backend = backend
        self.jobs = list(jobs)
        self.writes_start = False
        self.job: Job | None = None
        self.is_ready = False
        self.has_gone = False
        self.refusal: str | None = None
        self._printed = tempfile.TemporaryFile()
        self._process: Any = subprocess.Popen(
            [sys.executable, "-m", "keras_mtl.comparison.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            env=_environment(backend),
        )
        self._tell(
            {"settings": dataclasses.asdict(settings), "jobs": self.jobs}
        )
        self._listener = threading.Thread(
            target=self._listen, args=(messages,), daemon=True
        )
        self._listener.start()

    def go(self, writes_start: bool) -> None:
        """Lets the worker begin with its jobs.

        Args:
            writes_start: Whether it first writes the weights from which all
                backends start.
        """
        self.has_gone = True
        self.writes_start = writes_start
        self._tell({"writes_start": writes_start})

    def stop(self) -> None:
        """Ends the worker, and waits for its end."""
        self._process.kill()
        self._process.wait()
        self._close()

    def failure(self) -> str | None:
        """Why the worker, which has ended, has failed; `None` if it has not."""
        status = self._process.wait()
        self._printed.seek(0)
        text = self._printed.read().decode(errors="replace")
        self._close()
        if status == 0:
            return None
        if self.refusal is not None:
            return self.refusal
        last = "\n".join(text.splitlines()[-LINES_SHOWN:])
        how = f"signal {-status}" if status < 0 else f"status {status}"
        return f"The process ended with {how}.\n{last}".strip()

    def _close(self) -> None:
        # The other end may be gone with what was not read.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._listener.join()
        self._process.stdout.close()
        self._printed.close()

    def _tell(self, value: Any) -> None:
        line = json.dumps(value) + "\n"
        # If it has ended, `failure` will tell why.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()

    def _listen(self, messages: Any) -> None:
        for line in self._process.stdout:
            messages.put((self, json.loads(line)))
        messages.put((self, {"event": "exit"}))


def _environment(backend: str) -> dict[str, str]:
    """The parent's, with the backend and without TensorFlow's notes."""
    return {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **os.environ,
        "KERAS_BACKEND": backend,
    }
