"""Before the work: about how long it takes and how much memory, going by what was measured on this machine.

seconds = start + frames * frame + work * point, with a `Pace` of the method, its weights, the device and
about this size of frames; `Plan.work` counts points through chunks. Every finished piece of work gives a
pace. Needs no torch.
"""

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cattrs

from model.core.files import write_json
from model.core.processes import peak_memory
from model.core.progress import Progress, ReportProgress
from model.tracking.methods import Pace, find_method

FILE = "paces.json"
STEPS = 7
"""A point goes through a chunk of PIPs in so many steps from frame to frame."""

BYTES_PER_POSITION = 50
"""Of the result: position, visibility and handover, listed, stacked and mapped to the original frame."""


@dataclass(frozen=True)
class Plan:
    """What is to be tracked or predicted.

    method: a name of `METHODS`. weights: registered name or path, or None for the usual.
    points, frames: how many. size: (height, width) of the frames in pixels. device: as in the settings.
    """

    method: str
    weights: str | None
    points: int
    frames: int
    size: tuple[int, int]
    device: str = "auto"

    @property
    def kind(self) -> str:
        """What plans of one pace have in common beside the frames' size."""
        return " ".join([self.method, self.weights or "usual", self.device])

    @property
    def work(self) -> float:
        """How many points go through how many chunks, those included that only fill up batches.

        All points begin with one chunk; later they go on from different frames, a batch or more from each.
        """
        fill = find_method(self.method).fill * max(0, self.frames - 1 - STEPS)
        return self.points * max(1.0, (self.frames - 1) / STEPS) + fill


@dataclass(frozen=True)
class Estimate:
    """What a plan will cost, about.

    seconds: once it has begun. memory_bytes: at its peak. is_rough: the method was not measured here yet.
    """

    seconds: float
    memory_bytes: int
    is_rough: bool


class Paces:
    """The paces measured on this machine, in a small JSON file in a folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def estimate(self, plan: Plan) -> Estimate:
        """Say about what a plan costs, by the pace of frames of the nearest size."""
        return self.estimates([plan])[0]

    def estimates(self, plans: Iterable[Plan]) -> list[Estimate]:
        """Say about what each of several plans costs, see `estimate`."""
        paces = self._read()
        return [_estimate(plan, paces.get(plan.kind, {})) for plan in plans]

    def add(self, plan: Plan, pace: Pace) -> None:
        """Take note of what a plan cost; what was known of its kind and size counts half from now on."""
        paces = self._read()
        of_kind = paces.setdefault(plan.kind, {})
        size = str(_size_class(plan))
        of_kind[size] = _mean(of_kind[size], pace) if size in of_kind else pace
        write_json(self._path, cattrs.unstructure(paces))

    def _read(self) -> dict[str, dict[str, Pace]]:
        """Read the file; one that is not there or damaged says nothing: it is measured anew."""
        try:
            said = json.loads(self._path.read_text(encoding="utf-8"))
            return cattrs.structure(said, dict[str, dict[str, Pace]])
        except (OSError, ValueError, AttributeError, cattrs.BaseValidationError):
            return {}


class Stopwatch:
    """Measures the pace of a piece of work from its start on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()
        self._seconds = {"start": 0.0, "frame": 0.0, "point": 0.0}

    def lap(self, part: str) -> None:
        """Count the time since the last lap as spent on a part: "start", "frame" or "point"."""
        now = self._clock()
        self._seconds[part] += now - self._last
        self._last = now

    def timing(self, progress: ReportProgress) -> ReportProgress:
        """Return a function that passes progress on, and takes the laps of tracking."""

        def timed(where: Progress) -> None:
            self.lap("point" if where.stage == "tracking" else "frame")
            progress(where)

        return timed

    def pace(self, plan: Plan) -> Pace:
        """Return the pace of a plan that is carried out."""
        seconds = self._seconds
        return Pace(
            seconds["start"],
            seconds["frame"] / plan.frames,
            seconds["point"] / plan.work,
            max(0, peak_memory() - plan.frames * plan.points * BYTES_PER_POSITION),
        )


def _estimate(plan: Plan, measured: Mapping[str, Pace]) -> Estimate:
    """Say about what a plan costs, by the paces of its kind for sizes of frames."""
    nearest = min(measured, key=lambda size: abs(int(size) - _size_class(plan)), default=None)
    pace = find_method(plan.method).pace if nearest is None else measured[nearest]
    seconds = pace.start + plan.frames * pace.frame + plan.work * pace.point
    memory = pace.memory + plan.frames * plan.points * BYTES_PER_POSITION
    return Estimate(round(seconds, 2), memory, is_rough=nearest is None)


def _size_class(plan: Plan) -> int:
    """Return the power of 2 that is next to the number of pixels."""
    return round(math.log2(plan.size[0] * plan.size[1]))


def _mean(one: Pace, other: Pace) -> Pace:
    return Pace(
        (one.start + other.start) / 2,
        (one.frame + other.frame) / 2,
        (one.point + other.point) / 2,
        max(one.memory, other.memory),
    )
