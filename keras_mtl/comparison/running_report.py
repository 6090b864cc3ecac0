"""Reports while runs go on, for a small part of the time."""

import time
from collections.abc import Callable

#: Part of the time that reports may take.
SHARE = 0.05


class RunningReport:
    """Writes a report, unless the last ones took too much of the time.

    Args:
        write: Writes it.
        clock: Returns seconds. Defaults to a clock that never goes back.
    """

    def __init__(
        self,
        write: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ):
        self._write = write
        self._clock = clock
        self._next = clock()

    def __call__(self) -> None:
        """Called when there is something new."""
        begun = self._clock()
        if begun >= self._next:
            self._write()
            ended = self._clock()
            self._next = ended + (ended - begun) / SHARE
