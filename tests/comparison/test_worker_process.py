"""What becomes of a worker, whatever its user's code does."""

import os
import queue
import re
import subprocess
import sys
import time

import pytest

from keras_mtl.comparison import worker_process as module
from tests.processes import PATIENCE
from tests.processes import is_alive
from tests.processes import wait_until

pytestmark = pytest.mark.skipif(
    os.name != "posix", reason="what is started here are scripts that fork"
)

# A process that has the pipe, too, and would keep it for an hour.
FORK = """
import json, os, signal, sys, time
sys.stdin.readline()
child = os.fork()
if not child:
    {in_child}
    time.sleep(3600)
print(json.dumps({{"event": "child", "pid": child}}), flush=True)
"""
KILLED = "os.kill(os.getpid(), signal.SIGKILL)"
SENT = "print('[1, 2', flush=True); time.sleep(3600)"
PRINTED = "sys.stderr.write(10_000_000 * 'x' + '\\nlast\\n'); sys.exit(3)"


@pytest.fixture
def start(monkeypatch):
    def run(end, in_child="pass"):
        script = FORK.format(in_child=in_child) + end
        monkeypatch.setattr(module, "COMMAND", (sys.executable, "-c", script))
        messages = queue.SimpleQueue()
        worker = module.WorkerProcess("jax", {"work": "a:B"}, messages)
        (_, message) = messages.get(timeout=60)
        return worker, message["pid"], messages

    return run


@pytest.mark.parametrize(
    ("end", "events", "reason"),
    [
        (KILLED, ["exit"], "ended by signal SIGKILL"),
        ("os._exit(0)", ["exit"], "status 0 before it had done its work"),
        ("raise SystemExit", ["exit"], "status 0 before it had done its work"),
        (PRINTED, ["exit"], "with status 3.*last$"),
        (SENT, ["refused", "exit"], "ended by signal SIGKILL"),
    ],
)
def test_its_end_is_told_and_that_of_its_children_comes(
    start, end, events, reason
):
    worker, child, messages = start(end)
    found = [messages.get(timeout=60)[1] for _ in events]
    assert [it["event"] for it in found] == events
    text = worker.failure()
    assert re.search(f"(?s){reason}", text)
    assert len(text) < 5000
    wait_until(lambda: not is_alive(child))


def test_a_child_that_has_left_is_not_waited_for(start):
    worker, child, messages = start(KILLED, in_child="os.setsid()")
    try:
        assert messages.get(timeout=60)[1] == {"event": "exit"}
        assert "SIGKILL" in worker.failure()
    finally:
        os.kill(child, 9)


def test_what_keeps_it_from_its_end_is_not_waited_for(start, monkeypatch):
    monkeypatch.setattr(module, "FAREWELL", 0.01)
    worker, child, messages = start("os.wait()")
    worker.finish()
    assert messages.get(timeout=60)[1] == {"event": "exit"}
    # Its work is done, however it ended.
    assert worker.failure() is None
    wait_until(lambda: not is_alive(child))


def test_stopped_with_all_that_it_has_started(start):
    worker, child, _ = start("time.sleep(3600)")
    begin = time.monotonic()
    worker.stop()
    wait_until(lambda: not is_alive(child))
    assert time.monotonic() - begin < 60


def test_standard_streams_are_not_those_of_the_users_code():
    """What it reads is nothing, and what it prints is no message."""
    script = (
        "from keras_mtl.comparison import worker\n"
        "commands = worker._take_standard_input()\n"
        "messages = worker._take_standard_output()\n"
        "import sys\n"
        "print(repr(sys.stdin.read()), flush=True)\n"
        "messages.write(commands.readline())\n"
        "messages.flush()\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script],
        input="go\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert found.stdout == "go\n"
    assert found.stderr.splitlines()[-1] == "''"
