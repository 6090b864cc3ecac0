"""torch: what `torch.autocast` is for, and what it is not for."""

import contextlib
import threading
from collections.abc import Iterator

import torch

__all__ = [
    "forward_precision",
    "full_precision",
]

DEVICES = ("cpu", "cuda", "mps", "xpu")

_SUSPENDED = threading.local()


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Suspends `torch.autocast`.

    It would compute inner products of gradients in 16 bits, and with them
    what is built on their small differences.
    """
    # A graph that is compiled has the precision of where it was traced.
    enabled = [
        (device, torch.get_autocast_dtype(device))
        for device in DEVICES
        if not torch.compiler.is_compiling()
        and torch.is_autocast_enabled(device)
    ]
    if not enabled:
        yield
        return
    with contextlib.ExitStack() as stack:
        for device, _ in enabled:
            stack.enter_context(torch.autocast(device, enabled=False))
        _SUSPENDED.settings = enabled
        try:
            yield
        finally:
            _SUSPENDED.settings = []


@contextlib.contextmanager
def forward_precision() -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for device, dtype in getattr(_SUSPENDED, "settings", ()):
            # No cache: torch would keep the values of each pass until the
            # outermost context ends, which may be that of the whole training.
            stack.enter_context(
                torch.autocast(device, dtype=dtype, cache_enabled=False)
            )
        yield
