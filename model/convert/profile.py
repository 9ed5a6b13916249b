"""Where a conversion's time goes, and what to do about it."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

Number = TypeVar("Number", int, float)

DEVICE = ("encode", "track", "check")
"""The stages in which the device is busy."""

STAGES = (
    "load",
    "open",
    "decode",
    "cuts",
    "resize",
    "encode",
    "track",
    "check",
    "write",
    "wait for frames",
    "wait for writing",
)


@dataclass
class Stopwatch:
    """Adds up seconds by stage; the threads of a process share one."""

    seconds: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the block's seconds to a stage."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - begin
            with self._lock:
                self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def count(self, name: str, number: int = 1) -> None:
        """Count something."""
        with self._lock:
            self.counts[name] = self.counts.get(name, 0) + number


@dataclass(frozen=True)
class Profile:
    """What a conversion has cost so far.

    seconds: by stage, of all workers together. The reading thread opens, decodes, looks for cuts and resizes,
        and the writing thread writes, both beside the main thread, which does the rest.
    counts: "chunks", "frames" (decoded), "encoded" (calls of the encoder), "samples", "bytes".
    busy: seconds from the first to the last piece of work, added up over the workers.
    """

    seconds: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    busy: float = 0.0

    def __add__(self, other: "Profile") -> "Profile":
        return Profile(
            _sum(self.seconds, other.seconds), _sum(self.counts, other.counts), self.busy + other.busy
        )

    @property
    def device_share(self) -> float:
        """The share of the time in which the device was busy, 0 to 1."""
        return self._share(*DEVICE)

    @property
    def chunks_per_second(self) -> float:
        """Chunks a second of a worker."""
        return self.counts.get("chunks", 0) / self.busy if self.busy else 0.0

    def _share(self, *stages: str) -> float:
        return sum(self.seconds.get(stage, 0.0) for stage in stages) / self.busy if self.busy else 0.0

    def verdict(self) -> str:
        """Say in one line what limits the speed."""
        tracking, reading, writing = (
            self._share(*DEVICE),
            self._share("wait for frames"),
            self._share("wait for writing"),
        )
        shares = f"tracking {tracking:.0%}, waiting for reading {reading:.0%}, for writing {writing:.0%}"
        if not self.busy or max(tracking, reading, writing) < 0.3:
            return f"{shares}: too little work to tell what limits it."
        if tracking >= max(reading, writing):
            return f"{shares}: the device limits it; a faster disk will not help, a GPU or more workers will."
        if writing > reading:
            return f"{shares}: writing limits it; a faster disk for the training set will help."
        decode = self.seconds.get("decode", 0.0) + self.seconds.get("open", 0.0)
        made = self.seconds.get("cuts", 0.0) + self.seconds.get("resize", 0.0)
        what = "opening and decoding" if decode >= made else "resizing and looking for cuts"
        return f"{shares}: {what} limits it; more workers will help, a faster GPU will not."

    def table(self) -> str:
        """Return the seconds of each stage as lines of text."""
        lines = [
            f"  {stage:<18}{self.seconds[stage]:10.1f} s {self.seconds[stage] / self.busy:6.1%}"
            for stage in STAGES
            if stage in self.seconds and self.busy
        ]
        return "\n".join(lines)


def _sum(a: Mapping[str, Number], b: Mapping[str, Number]) -> dict[str, Number]:
    return {**a, **{name: a[name] + more if name in a else more for name, more in b.items()}}
