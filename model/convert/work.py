"""One piece of work: shards of a training set, by name, that one process converts; whoever hands it out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import psutil

from model.convert.converting import convert_shards
from model.convert.plan import Plan
from model.convert.profile import Profile, Stopwatch
from model.convert.settings import ConvertSettings
from model.core.errors import BadInput
from model.datasets.folder import DataFolder
from model.tracking.chunks import ChunkTracker, load_chunk_tracker
from model.tracking.methods import find_method, tracker_name


class Report(Protocol):
    """Who is told what is done, and says whether to go on; called from several threads."""

    def add_chunk(self) -> None:
        """Take note of one more chunk."""

    def add_shard(self, name: str) -> None:
        """Take note of a finished shard."""

    def add_cost(self, cost: Profile) -> None:
        """Take note of what a part of the work has cost."""

    def is_ended(self) -> bool:
        """Tell whether the work has to end."""


@dataclass(frozen=True)
class WorkerSettings:
    """How the work is done; the results do not depend on it.

    count: processes; 1 works in this one. threads: of each process, or None for a fair share of the cores.
    device: "auto", "cpu", "cuda" or "cuda:K".
    """

    count: int = 1
    threads: int | None = None
    device: str = "auto"

    def load_tracker(self, settings: ConvertSettings) -> ChunkTracker:
        """Load what the settings track with, for this process, with its share of the threads."""
        import cv2  # noqa: PLC0415 - it takes a second, which a conversion that is done need not wait

        threads = self.threads or max(1, len(psutil.Process().cpu_affinity()) // self.count)
        cv2.setNumThreads(threads)
        if find_method(settings.method).uses_torch:
            import torch  # noqa: PLC0415 - it takes seconds; see cv2 above

            torch.set_num_threads(threads)
        name = tracker_name(settings.method, settings.weights)
        return load_chunk_tracker(name, self.device, settings.precision)


@dataclass(frozen=True)
class ShardWorker:
    """What a process needs to convert shards of a plan. folder: where the shards go."""

    folder: DataFolder
    plan: Plan
    tracker: ChunkTracker

    @classmethod
    def load(cls, folder: DataFolder, plan: Plan, settings: WorkerSettings, report: Report) -> "ShardWorker":
        """Load the tracker. Raises BadInput when its weights are not those that the plan was made with."""
        stopwatch = Stopwatch()
        with stopwatch.stage("load"):
            tracker = settings.load_tracker(plan.settings)
        if tracker.method.weights_sha256 != plan.settings.weights_sha256:
            raise BadInput(
                f"The weights of {plan.settings.weights or plan.settings.method} are not those that the "
                "training set was begun with."
            )
        report.add_cost(Profile(dict(stopwatch.seconds), {}, stopwatch.seconds["load"]))
        return cls(folder, plan, tracker)

    def convert(self, names: Sequence[str], report: Report) -> None:
        """Convert shards, in order; see `convert_shards` for what is raised."""
        shards = {shard.name: shard for shard in self.plan.shards}
        cost = convert_shards(
            self.plan,
            [shards[name] for name in names],
            self.folder,
            self.tracker,
            on_shard=report.add_shard,
            on_chunk=report.add_chunk,
            should_stop=report.is_ended,
        )
        report.add_cost(cost)
