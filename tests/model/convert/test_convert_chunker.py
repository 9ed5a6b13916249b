"""Chunks of a stream of frames, against a plain form that knows all frames at once; shot cuts."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.convert.chunker import Chunker, Span
from model.convert.cuts import CutDetector
from model.convert.plan import Segment
from tests.media import Picture, moving_frames, texture

FRAME = np.zeros((2, 2, 3), np.uint8)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[int, int]:
    """A horizon, and a stride that comes of an overlap and a chunk step."""
    horizon = draw(st.integers(2, 20))
    overlap = draw(st.integers(0, horizon - 1))
    return horizon, (horizon - overlap) * draw(st.integers(1, 3))


def streamed(
    segment: Segment, frames: int, horizon: int, stride: int, cuts: frozenset[int] | None = None
) -> list[Span]:
    """Give a chunker a video's frames one by one, as the reading thread does; None: it looks for no cuts."""
    numbers = iter(range(segment.first, frames))
    is_cut = None if cuts is None else lambda _: next(numbers) in cuts
    chunker = Chunker(segment, horizon, stride, is_cut)
    spans = []
    for position in range(segment.first, frames):
        spans += chunker.take(position, FRAME)
        open_before = chunker.oldest
        spans += (found := chunker.complete(position))
        assert all(span.start == open_before for span in found), "a frame that was needed was not named"
        if chunker.is_done:
            return spans
    return spans + chunker.end(frames)


def plain(frames: int, horizon: int, stride: int) -> list[Span]:
    """The chunks of an uncut video: all whole ones, and what is left if it has 2 frames and a new one."""
    starts = range(0, frames, stride)
    whole = [Span(start, horizon) for start in starts if start + horizon <= frames]
    rest = [start for start in starts if start + horizon > frames]
    covered = max((start + horizon for start, _ in whole), default=0)
    has_tail = rest and frames - rest[0] >= 2 and frames > covered
    return whole + ([Span(rest[0], frames - rest[0])] if has_tail else [])


@given(layouts(), st.integers(0, 70))
def test_the_chunks_of_an_uncut_video(layout: tuple[int, int], frames: int) -> None:
    horizon, stride = layout
    segment = Segment(0, 0, max(0, frames - 1))
    spans = streamed(segment, frames, horizon, stride)
    assert spans == plain(frames, horizon, stride)
    assert spans == streamed(segment, frames, horizon, stride, cuts=frozenset())
    assert len({span.start for span in spans}) == len(spans)


@given(layouts(), st.integers(0, 70), st.integers(1, 6))
def test_a_video_cut_into_segments_has_the_same_chunks(
    layout: tuple[int, int], frames: int, size: int
) -> None:
    horizon, stride = layout
    starts = range(0, max(0, frames - 1), stride)
    spans, count = [], 0
    for first in range(0, len(starts), size):
        part = starts[first : first + size]
        found = streamed(Segment(0, part.start, part.stop), frames, horizon, stride)
        spans += [span for span in found if span in plain(frames, horizon, stride)]
        count += len(found)
    assert spans == plain(frames, horizon, stride)
    # A segment does not know what others cover at the video's end: where chunks overlap, it may end in a
    # short chunk of frames that the segment before has, too.
    assert count - len(spans) <= (0 if stride >= horizon else -(-horizon // (size * stride)))


@given(layouts(), st.integers(1, 70), st.sets(st.integers(1, 69)))
def test_each_shot_is_chunked_as_a_video_of_its_own(
    layout: tuple[int, int], frames: int, cuts: set[int]
) -> None:
    horizon, stride = layout
    spans = streamed(Segment(0, 0, max(0, frames - 1)), frames, horizon, stride, frozenset(cuts))
    ends = sorted({0, frames} | {cut for cut in cuts if cut < frames})
    expected = [
        Span(begin + span.start, span.length)
        for begin, end in pairwise(ends)
        for span in plain(end - begin, horizon, stride)
    ]
    assert spans == expected


@given(layouts(), st.integers(2, 70), st.sets(st.integers(1, 69)), st.integers(1, 6))
def test_segments_of_a_cut_video_share_no_start_and_cross_no_cut(
    layout: tuple[int, int], frames: int, cuts: set[int], size: int
) -> None:
    horizon, stride = layout
    starts = range(0, frames - 1, stride)
    found = []
    for first in range(0, len(starts), size):
        part = starts[first : first + size]
        found += streamed(Segment(0, part.start, part.stop), frames, horizon, stride, frozenset(cuts))
    assert len({span.start for span in found}) == len(found)
    for start, length in found:
        assert 2 <= length <= horizon
        assert start + length <= frames
        assert not any(start < cut < start + length for cut in cuts)
    if stride <= horizon:  # then no frame is left out, but for shots of a single frame and lone last ones
        covered = {frame for start, length in found for frame in range(start, start + length)}
        lone = {end - 1 for end in (*cuts, frames)}
        assert set(range(frames)) <= covered | lone


def scene(seed: int, frames: int = 6, height: int = 96, width: int = 128) -> list[Picture]:
    """A shot of a texture in a colour of its own, slightly moving."""
    tint = np.random.default_rng(seed).uniform(0.1, 1.0, 3)
    large = texture(height, width + 2 * frames, seed)
    return [(large[:, 2 * t : 2 * t + width] * tint).astype(np.uint8) for t in range(frames)]


def cuts_of(frames: list[Picture]) -> list[int]:
    detector = CutDetector()
    return [index for index, frame in enumerate(frames) if detector.is_cut(frame)]


def test_joined_scenes_are_cut_where_they_are_joined() -> None:
    lengths = (6, 4, 9, 2, 5)
    frames = [frame for seed, length in enumerate(lengths) for frame in scene(seed, length)]
    assert cuts_of(frames) == list(np.cumsum(lengths)[:-1])


@pytest.mark.parametrize("velocity", [(3.0, 0.0), (25.0, 0.0), (0.0, 30.0), (40.0, 20.0)])
def test_a_fast_pan_is_no_cut(velocity: tuple[float, float]) -> None:
    assert cuts_of(moving_frames(10, (192, 256), velocity)) == []


def test_a_slow_change_of_light_is_no_cut() -> None:
    still = texture(96, 128)
    frames = [(still * (0.5 + 0.5 * t / 30)).astype(np.uint8) for t in range(31)]
    assert cuts_of(frames) == []


def test_frames_of_one_pixel_and_of_other_sizes_are_compared_too() -> None:
    black, white = np.zeros((8, 8, 3), np.uint8), np.full((500, 8, 3), 255, np.uint8)
    assert cuts_of([black, black, white, white]) == [2]
