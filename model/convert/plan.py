"""Which shard gets which chunks of which video. The plan is made once, then kept beside the shards."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from model.clips.video import frame_times
from model.convert.settings import ConvertSettings
from model.convert.sources import Place
from model.core.errors import BadInput
from model.datasets.folder import DataFolder
from model.datasets.summary import SPLITS

PLAN = "plan.json"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Source:
    """A video that was looked at.

    place: where it is. fingerprint: see `Place.fingerprint`. sha256: of its content.
    frames, fps: how many, and how fast. size: (height, width) in pixels.
    """

    place: Place
    fingerprint: str
    sha256: str
    frames: int
    fps: float
    size: tuple[int, int]


@dataclass(frozen=True)
class Segment:
    """A part of a video: the chunks that start in it.

    source: index of the video in the plan. first, last: chunks start at sampled frames first .. last - 1
    (see `sampled_frames`); their ends may lie beyond.
    """

    source: int
    first: int
    last: int


@dataclass(frozen=True)
class Shard:
    """A shard's name without ending, its split, and what it is made of. chunks: how many at most."""

    name: str
    split: str
    segments: tuple[Segment, ...]
    chunks: int


@dataclass(frozen=True)
class Plan:
    """Settings, videos and shards of a training set."""

    settings: ConvertSettings
    sources: tuple[Source, ...] = ()
    shards: tuple[Shard, ...] = ()
    version: int = FORMAT_VERSION

    def with_sources(self, found: Sequence[Source]) -> "Plan":
        """Add shards for videos whose content is not in the plan yet; what is planned stays as it is.

        The order in which videos are found does not matter. Of those with the same content the first is used.
        """
        known = {source.sha256 for source in self.sources}
        fresh = {source.sha256: source for source in reversed(found) if source.sha256 not in known}
        added = tuple(fresh[sha256] for sha256 in sorted(fresh))
        sources = self.sources + added
        shards = list(self.shards)
        for split in SPLITS:
            chosen = [
                index
                for index in range(len(self.sources), len(sources))
                if self.settings.split_of(sources[index].place.name, sources[index].sha256) == split
            ]
            count = sum(shard.split == split for shard in shards)
            shards += _shards(split, count, chosen, sources, self.settings)
        return Plan(self.settings, sources, tuple(shards))

    def located(self, found: Sequence[Source]) -> "Plan":
        """Take over from `found` where videos with known content are now; they keep their names."""
        places = {source.sha256: source for source in reversed(found)}

        def now(old: Source) -> Source:
            new = places.get(old.sha256, old)
            return replace(old, place=replace(new.place, name=old.place.name), fingerprint=new.fingerprint)

        return Plan(self.settings, tuple(now(source) for source in self.sources), self.shards)

    def recipe(self, shard: Shard) -> str:
        """Return 16 hexadecimal digits of all that a shard's samples depend on; its index keeps them.

        So a shard of an earlier plan is not taken for the one that has its name now.
        """
        settings = {name: value for name, value in asdict(self.settings).items() if name != "weights"}
        parts = [[self.sources[part.source].sha256, part.first, part.last] for part in shard.segments]
        return hashlib.sha256(json.dumps([settings, shard.split, parts]).encode()).hexdigest()[:16]

    def save(self, folder: DataFolder) -> None:
        """Write `plan.json`."""
        folder.write(PLAN, json.dumps(asdict(self)).encode())

    @classmethod
    def load(cls, folder: DataFolder) -> "Plan | None":
        """Read `plan.json`; None when there is none. Raises BadInput when it is damaged or newer."""
        try:
            return folder.read_json(
                PLAN,
                cls,
                "delete it and give the same command again: shards that are as a new plan has them are kept, "
                "others are made anew",
                FORMAT_VERSION,
            )
        except FileNotFoundError:
            return None


def sampled_count(frames: int, fps: float, settings: ConvertSettings) -> int:
    """Return how many frames of a video, or times in it, chunks are made of."""
    if settings.interval is None or not fps:
        return -(-frames // settings.frame_step)
    return 1 + int((frames - 1) / fps / settings.interval + 1e-3)


def sampled_frames(path: Path, source: Source, settings: ConvertSettings) -> Sequence[int]:
    """Return which frames of a video chunks are made of: every k-th, or those nearest to times.

    Raises BadInput when a video has no times, or fewer frames a second than are asked for.
    """
    count = sampled_count(source.frames, source.fps, settings)
    if settings.interval is None:
        return range(0, source.frames, settings.frame_step)
    times = frame_times(path)
    wanted = np.arange(count) * settings.interval
    after = np.searchsorted(times, wanted).clip(1, len(times) - 1)
    nearest = after - (wanted - times[after - 1] <= times[after] - wanted)
    if (np.diff(nearest) < 1).any():
        raise BadInput(
            f"It has {source.fps:.3g} frames a second on average, in places fewer than "
            f"{1 / settings.interval:.3g}: too few for an interval of {settings.interval:.3g} s."
        )
    return [int(frame) for frame in nearest]


def chunk_starts(source: Source, settings: ConvertSettings) -> range:
    """Return the sampled frames at which chunks of an uncut video start; each has at least 2 frames."""
    sampled = sampled_count(source.frames, source.fps, settings)
    return range(0, max(0, sampled - 1), settings.stride)


def _shards(
    split: str, number: int, chosen: Sequence[int], sources: Sequence[Source], settings: ConvertSettings
) -> list[Shard]:
    """Fill shards with whole videos; a video that is more than a shard is cut into shards of its own."""
    shards: list[Shard] = []
    open_segments: list[Segment] = []
    open_chunks = 0

    def close() -> None:
        nonlocal open_segments, open_chunks
        if open_segments:
            name = f"{split}-{number + len(shards):06d}"
            shards.append(Shard(name, split, tuple(open_segments), open_chunks))
        open_segments, open_chunks = [], 0

    for index in chosen:
        starts = chunk_starts(sources[index], settings)
        if open_chunks + len(starts) > settings.shard_samples:
            close()
        for first in range(0, len(starts), settings.shard_samples):
            part = starts[first : first + settings.shard_samples]
            open_segments.append(Segment(index, part.start, part.stop))
            open_chunks += len(part)
            if len(starts) > settings.shard_samples:
                close()
    close()
    return shards
