"""Processes that tests start, watch and kill."""

import contextlib
import time

#: Much longer than anything here takes, on a machine that does other things.
PATIENCE = 300


def children(process, command=""):
    """Process ids of the children of a process.

    Args:
        process: The process.
        command: What their command line has.
    """
    path = f"/proc/{process.pid}/task/{process.pid}/children"
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        with open(path) as file:
            found = [int(text) for text in file.read().split()]
        return [pid for pid in found if command in command_line(pid)]
    return []


def command_line(pid):
    """Text of the command that a process runs."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        with open(f"/proc/{pid}/cmdline") as file:
            return file.read().replace("\0", " ")
    return ""


def is_alive(pid):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        with open(f"/proc/{pid}/stat") as file:
            # The state stands behind the name; a zombie is not alive.
            return file.read().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.02)
