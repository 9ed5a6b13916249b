"""Before a long conversion: how long it would take, how large it would be, and what other settings would do.

A few chunks from all over the videos are converted for real, by the very code that does the work, into a
folder that is thrown away; the rest is multiplication.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from math import fsum

from model.clips.video import probe, quick_probe
from model.convert.converting import convert_shards
from model.convert.plan import Plan, Segment, Shard, Source, sampled_count
from model.convert.profile import Profile
from model.convert.scan import reason_of
from model.convert.settings import ConvertSettings
from model.convert.sources import Place, find_places
from model.convert.work import WorkerSettings
from model.core.errors import BadInput
from model.core.processes import peak_memory
from model.core.progress import UNWATCHED, ShouldStop, Watch
from model.datasets.folder import DataFolder
from model.datasets.index import motion_at_reference
from model.datasets.shards import ShardIndex
from model.tracking.chunks import ChunkTracker

TIMED_CHUNKS = 6
"""Converted for each choice of settings; a costly grid makes do with a third of them."""


@dataclass(frozen=True)
class Outlook:
    """What a conversion with some settings would be.

    name: what is special about the settings. chunks: how many, cuts left aside.
    seconds: of wall time. bytes: of the shards. memory_bytes: of all workers at their peak.
    motion: the mean distance from a point's first to its last position, in pixels of a 256-high image, over
        the visible points of the chunks that were timed.
    """

    name: str
    chunks: int
    seconds: float
    bytes: float
    memory_bytes: float
    motion: float


@dataclass(frozen=True)
class ConversionEstimate:
    """outlooks: the settings as they were given first, then others to choose from.

    videos, frames: how many there are. source_bytes: of the videos, which are read once before the work
    begins. failures: what cannot be used, as (name, reason). timed: chunks converted for the first outlook.
    """

    outlooks: tuple[Outlook, ...]
    videos: int
    frames: int
    source_bytes: int
    failures: tuple[tuple[str, str], ...]
    timed: int


def estimate_conversion(
    inputs: Sequence[str],
    settings: ConvertSettings,
    workers: WorkerSettings,
    watch: Watch = UNWATCHED,
) -> ConversionEstimate:
    """Convert a few chunks and say what all would cost; nothing is left behind.

    watch: told the stages "looking at videos" and "timing chunks".
    Raises BadInput when no video can be used, Stopped on request.
    """
    seen = _quick_scan(find_places(inputs), watch)
    if not seen.frames:
        raise BadInput(f"None of the videos can be used. {'; '.join(why for _, why in seen.failures[:3])}")
    tracker = workers.load_tracker(settings)
    sources = _sources(seen)
    choices = _choices(settings)
    # The first chunk is slower than the others.
    _time_chunks(tracker, settings, sources[:1], 1, watch.should_stop)
    outlooks: list[Outlook] = []
    timed = 0
    for name, choice, share in watch.each("timing chunks", choices):
        most = max(1, round(TIMED_CHUNKS * share))
        timing = _time_chunks(tracker, choice, sources, most, watch.should_stop)
        outlook = _outlook(name, choice, timing, seen, workers)
        if choice.grid != settings.grid:  # a finer grid sees the same motion, and fewer chunks were timed
            outlook = replace(outlook, motion=outlooks[0].motion)
        outlooks.append(outlook)
        timed = timed or timing.chunks
        if len(outlooks) == 1:
            outlooks.append(_every_other_chunk(outlooks[0], settings, seen))
    return ConversionEstimate(
        tuple(outlooks), len(seen.frames), sum(seen.frames.values()), seen.bytes, tuple(seen.failures), timed
    )


@dataclass
class _Seen:
    """frames, rates: of each video that can be used, and how many a second, about. bytes: of their files."""

    frames: dict[Place, int] = field(default_factory=dict)
    rates: dict[Place, float] = field(default_factory=dict)
    failures: list[tuple[str, str]] = field(default_factory=list)
    bytes: int = 0


@dataclass(frozen=True)
class _Timing:
    """What converting a few chunks took."""

    chunks: int
    seconds_each: float
    bytes_each: float
    memory_bytes: int
    motion: float


def _quick_scan(places: Sequence[Place], watch: Watch) -> _Seen:
    seen = _Seen()
    for place in watch.each("looking at videos", places):
        try:
            with place.fetched() as path:
                frames, fps = quick_probe(path)
                if frames < 2:
                    raise BadInput("It holds a single picture; a video needs at least 2 frames.")
                files = path.iterdir() if path.is_dir() else [path]
                seen.bytes += sum(file.stat().st_size for file in files)
            seen.frames[place], seen.rates[place] = frames, fps
        except (BadInput, OSError) as error:
            seen.failures.append((place.name, reason_of(error)))
    return seen


def _choices(settings: ConvertSettings) -> list[tuple[str, ConvertSettings, float]]:
    """Name the settings to time, and how many of the chunks; the largest in memory come last."""
    given = f"as given ({settings.grid}×{settings.grid} points)"
    choices = [
        (given, settings, 1.0),
        ("every other frame", _every_other_frame(settings), 1.0),
    ]
    if settings.grid != 64:
        choices.append(("64×64 points", replace(settings, grid=64), 1 / 3))
    return choices


def _every_other_frame(settings: ConvertSettings) -> ConvertSettings:
    if settings.interval is not None:
        return replace(settings, interval=2 * settings.interval)
    return replace(settings, frame_step=2 * settings.frame_step)


def _sources(seen: _Seen) -> list[tuple[Source, float]]:
    """Choose videos to take chunks from, and where in each, 0 to 1: evenly over all frames."""
    places = list(seen.frames)
    ends = list(accumulate(seen.frames.values()))
    chosen = []
    for number in range(TIMED_CHUNKS):
        target = (number + 0.5) / TIMED_CHUNKS * ends[-1]
        index = next(k for k, end in enumerate(ends) if target < end)
        chosen.append((places[index], (target - ends[index]) / seen.frames[places[index]] + 1))
    sources = {place: _probed(place) for place in dict.fromkeys(place for place, _ in chosen)}
    return [(sources[place], where) for place, where in chosen]


def _probed(place: Place) -> Source:
    with place.fetched() as path:
        info = probe(path)
    return Source(place, place.fingerprint(), "0" * 64, info.frames, info.fps, (info.height, info.width))


def _time_chunks(
    tracker: ChunkTracker,
    settings: ConvertSettings,
    sources: Sequence[tuple[Source, float]],
    most: int,
    should_stop: ShouldStop,
) -> _Timing:
    """Convert one chunk of each of at most `most` of the sources."""
    every = max(1, len(sources) // most)
    chosen = sources[::every][:most]
    segments = []
    for index, (source, where) in enumerate(chosen):
        sampled = sampled_count(source.frames, source.fps, settings)
        first = round(where * max(0, sampled - settings.horizon))
        segments.append(Segment(index, first, first + 1))
    shard = Shard("timing", "train", tuple(segments), len(segments))
    plan = Plan(
        replace(settings, min_motion=0.0, cuts=False), tuple(source for source, _ in chosen), (shard,)
    )
    with tempfile.TemporaryDirectory(prefix="stillmotion-estimate-") as name:
        folder = DataFolder.open(name)
        profile = convert_shards(plan, [shard], folder, tracker, should_stop=should_stop)
        made = ShardIndex.load(folder, shard.name)
    if not made.samples:
        reasons = "; ".join(failure.reason for failure in made.failures[:3])
        raise BadInput(f"None of the chunks that were tried could be used. {reasons}")
    count = len(made.samples)
    return _Timing(
        chunks=count,
        seconds_each=_seconds(profile) / count,
        bytes_each=made.bytes / count,
        memory_bytes=peak_memory(),
        motion=fsum(motion_at_reference(entry.facts) for entry in made.samples) / count,
    )


def _seconds(profile: Profile) -> float:
    """The seconds of the work, but for opening files, which a real run does once for a video."""
    return max(0.0, profile.busy - profile.seconds.get("open", 0.0))


def _outlook(
    name: str, settings: ConvertSettings, timing: _Timing, seen: _Seen, workers: WorkerSettings
) -> Outlook:
    chunks = _chunks(settings, seen)
    return Outlook(
        name,
        chunks,
        seconds=chunks * timing.seconds_each / workers.count,
        bytes=chunks * timing.bytes_each,
        memory_bytes=timing.memory_bytes * workers.count,
        motion=timing.motion,
    )


def _every_other_chunk(given: Outlook, settings: ConvertSettings, seen: _Seen) -> Outlook:
    """The same chunks, half as many; decoding between them is little beside tracking."""
    chunks = _chunks(replace(settings, chunk_step=2 * settings.chunk_step), seen)
    share = chunks / given.chunks
    return replace(
        given,
        name="every other chunk",
        chunks=chunks,
        seconds=given.seconds * share,
        bytes=given.bytes * share,
    )


def _chunks(settings: ConvertSettings, seen: _Seen) -> int:
    return sum(
        len(range(0, max(0, sampled_count(frames, seen.rates[place], settings) - 1), settings.stride))
        for place, frames in seen.frames.items()
    )
