"""How much is decoded at once: one budget in bytes for a process, which many large images do not fill."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Lock

DECODING_BYTES = 400 * 1024**2
"""Enough for an image of the largest size that is accepted; what would need more has it for itself."""


class DecodingBudget:
    """Bytes that decoding may take at once; those who come later wait in line."""

    def __init__(self, total: int = DECODING_BYTES) -> None:
        self._total = self._free = total
        self._changed = Condition()
        self._line = Lock()

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
