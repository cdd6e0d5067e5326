"""Memory that was freed goes back to the system, so that a process that makes many characters does not grow."""

import ctypes
import gc
import sys


def release_memory() -> None:
    """Collect garbage and, with glibc, return free pages: its arenas otherwise keep the holes of many large arrays."""
    gc.collect()
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
