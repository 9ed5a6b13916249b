"""Cutting a stream of sampled frames into chunks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.convert.plan import Segment

IsCut = Callable[[NDArray[np.uint8]], bool]
"""Tells of each frame in turn whether it begins a new shot."""


class Span(NamedTuple):
    """A chunk: `length` sampled frames from `start` on."""

    start: int
    length: int


@dataclass
class Chunker:
    """Finds the chunks that start in one segment, frame by frame.

    A chunk has `horizon` frames, and fewer where the shot or the video ends; there only the longest is kept,
    and only if it has frames that no earlier chunk of the segment has. After a cut, chunks start afresh with
    its frame.
    stride: from one start to the next. is_cut: of each sampled frame in turn, or None for no cuts.
    """

    segment: Segment
    horizon: int
    stride: int
    is_cut: IsCut | None

    def __post_init__(self) -> None:
        self._next_start = self.segment.first
        self._next = self.segment.first
        self._open: list[int] = []
        self._covered = self.segment.first  # the frame behind the last whole chunk

    @property
    def is_done(self) -> bool:
        """Whether no further frame matters."""
        begins_again = self._next_start if self.is_cut is None else self._next
        return not self._open and begins_again >= self.segment.last

    @property
    def oldest(self) -> int | None:
        """The first frame that is still needed, of those taken; None when there is none."""
        return self._open[0] if self._open else None

    def take(self, position: int, frame: NDArray[np.uint8]) -> list[Span]:
        """Take the next sampled frame; return chunks that ended before it because of a cut.

        position: its number among the sampled frames. Afterwards `oldest` tells whether it is needed, and
        `complete` returns the chunk that it completes.
        """
        ended = []
        self._next = position + 1
        if self.is_cut is not None and self.is_cut(frame) and position > self.segment.first:
            ended = self._close(position)
            self._next_start = position
        if position == self._next_start and position < self.segment.last:
            self._open.append(position)
            self._next_start = position + self.stride
        return ended

    def complete(self, position: int) -> list[Span]:
        """Return the chunk, if any, whose last frame is the one taken last."""
        if self._open and position == self._open[0] + self.horizon - 1:
            self._covered = position + 1
            return [Span(self._open.pop(0), self.horizon)]
        return []

    def end(self, position: int) -> list[Span]:
        """Return the chunk, if any, that ends before `position`, short as it is; the video ends there."""
        spans = self._close(position)
        self._next_start = self._next = self.segment.last
        return spans

    def _close(self, position: int) -> list[Span]:
        first = self._open[:1] if position > self._covered else []
        self._open.clear()
        return [Span(start, position - start) for start in first if position - start >= 2]
