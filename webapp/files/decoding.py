"""How much is decoded at once: one budget in bytes for a process, which many large images do not fill."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Lock

DECODING_BYTES = 400 * 1024**2
"""Enough for an image of the largest size that is accepted; what would need more has it for itself."""

_M_MMAP_THRESHOLD = -3  # malloc.h


class DecodingBudget:
    """Bytes that decoding may take at once; those who come later wait in line."""

    def __init__(self, total: int = DECODING_BYTES) -> None:
        self._total = self._free = total
        self._changed = Condition()
        self._line = Lock()
        _return_freed_memory()

    @contextmanager
    def reserve(self, wanted: int) -> Iterator[None]:
        """Wait until so many bytes are free (all, where there are fewer), and hold them within the block."""
        held = min(wanted, self._total)
        with self._line, self._changed:
            self._changed.wait_for(lambda: self._free >= held)
            self._free -= held
        try:
            yield
        finally:
            with self._changed:
                self._free += held
                self._changed.notify()


def _return_freed_memory() -> None:
    """Have blocks of 1 MiB and more go back to the system when they are freed.

    glibc raises that limit by itself, up to 32 MiB, and then each thread keeps the images that it decoded: 8
    threads that decoded the largest ones in turn held 2 GB.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none, and no such habit
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 1 << 20)
