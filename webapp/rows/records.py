"""The rows that outlive a restart: clips, runs, jobs. SQLite by default, any SQLAlchemy database by URL."""

import secrets
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar, TypeVar, cast

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from model.clips.video import ClipInfo, Kind
from model.tracking.both_ways import Direction
from model.tracking.methods import is_prediction
from model.tracking.run import TrackRequest
from webapp.rows.columns import Tags, UtcDateTime


class RunState(StrEnum):
    """Where a run is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNFINISHED = (RunState.QUEUED, RunState.RUNNING)


def now() -> datetime:
    """Return this moment in UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """The tables' common ground."""


Record = TypeVar("Record", bound=Base)


class Work:
    """What a worker does, from the request to its end: what the queue, the reaper and the pages go by.

    noun: what people call it. advice: what they may try when it took too much, the end of a sentence.
    """

    noun: ClassVar[str]
    advice: ClassVar[str]

    id: Mapped[str] = mapped_column(String(16), primary_key=True, default=lambda: secrets.token_hex(8))
    state: Mapped[str] = mapped_column(String(16), default=RunState.QUEUED, index=True)
    stage: Mapped[str] = mapped_column(String(64), default="waiting")
    progress: Mapped[float] = mapped_column(Float, default=0.0)
    eta_seconds: Mapped[float | None] = mapped_column(Float)
    error: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, index=True)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Clip(Base):
    """An uploaded video, image, or set of images. The id is the first 16 digits of its bytes' sha256."""

    __tablename__ = "clips"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(255))
    suffix: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(16))
    width: Mapped[int]
    height: Mapped[int]
    frames: Mapped[int]
    fps: Mapped[float] = mapped_column(Float)
    bytes: Mapped[int] = mapped_column(BigInteger)
    remark: Mapped[str] = mapped_column(Text, default="", server_default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, index=True)
    tags: Mapped[list[str]] = mapped_column(Tags, default=list, server_default="")
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    runs: Mapped[list["Run"]] = relationship(back_populates="clip", cascade="all, delete-orphan")

    @property
    def key(self) -> str:
        """Where the storage keeps its bytes."""
        return f"clips/{self.sha256}{self.suffix}"

    @property
    def info(self) -> ClipInfo:
        """What `probe` found when it was uploaded."""
        return ClipInfo(cast(Kind, self.kind), self.width, self.height, self.frames, self.fps, self.remark)

    @property
    def duration(self) -> float:
        """Seconds; 0 for images."""
        return self.info.duration


class Run(Work, Base):
    """One tracking of one clip, or one prediction from one of its frames, from the request to its result.

    Its frames are `start`, `start + frame_step`, ...; for a prediction they are those that it speaks of.
    Its points are a grid, or `points`, (x, y) in pixels of the frame `query_frame`, None for the first.
    """

    __tablename__ = "runs"
    noun, advice = "run", "try fewer frames or points"

    clip_id: Mapped[str] = mapped_column(ForeignKey("clips.id", ondelete="CASCADE"), index=True)
    method: Mapped[str] = mapped_column(String(64))
    weights: Mapped[str | None] = mapped_column(Text)
    grid: Mapped[int | None]
    points: Mapped[list[list[float]] | None] = mapped_column(JSON(none_as_null=True))
    query_frame: Mapped[int | None]
    start: Mapped[int]
    frames: Mapped[int]
    frame_step: Mapped[int]
    tracked_frames: Mapped[int | None]
    name: Mapped[str] = mapped_column(String(255), default="", server_default="")
    tags: Mapped[list[str]] = mapped_column(Tags, default=list, server_default="")
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    clip: Mapped[Clip] = relationship(back_populates="runs", lazy="joined")

    @property
    def folder(self) -> str:
        """Where the storage keeps its results."""
        return f"runs/{self.id}"

    def partial_key(self, frames: int) -> str:
        """Where the storage keeps the tracks of its first frames while it is not done."""
        return f"{self.folder}/partial/{frames}.npz"

    @property
    def point_count(self) -> int:
        """How many points it follows or predicts."""
        return len(self.points) if self.points is not None else (self.grid or 0) ** 2

    @property
    def request(self) -> TrackRequest:
        """What is tracked; for a prediction, what would be."""
        points = None if self.points is None else tuple((x, y) for x, y in self.points)
        query_frame = self.start if self.query_frame is None else self.query_frame
        before = (query_frame - self.start) // self.frame_step
        after = self.frames - 1 - before
        direction: Direction = "forward" if before == 0 else "backward" if after == 0 else "both"
        return TrackRequest(
            self.grid or 0, query_frame, max(before, after) + 1, self.frame_step, points, direction
        )

    @property
    def is_prediction(self) -> bool:
        """Whether it looks at its first frame alone."""
        return is_prediction(self.method)

    def picture_key(self, position: int) -> str:
        """Where the storage keeps the picture to show at a position; a prediction has but one."""
        return f"{self.folder}/frames/{0 if self.is_prediction else position:05d}.jpg"

    @property
    def result_key(self) -> str:
        """Where the storage keeps the tracks of a run that is done."""
        return f"{self.folder}/tracks.npz"

    @property
    def tracks_key(self) -> str | None:
        """Where the storage keeps its tracks: all of them, or those from before it was cancelled, or None."""
        if self.state == RunState.DONE:
            return self.result_key
        if self.state == RunState.CANCELLED and self.tracked_frames:
            return self.partial_key(self.tracked_frames)
        return None

    @property
    def shown_key(self) -> str | None:
        """Where the storage keeps the tracks to look at: at `tracks_key`, or those so far while it runs."""
        if self.state == RunState.RUNNING and self.tracked_frames:
            return self.partial_key(self.tracked_frames)
        return self.tracks_key

    @property
    def frames_in_tracks(self) -> int:
        """How many frames the tracks at `tracks_key` have."""
        return self.frames if self.state == RunState.DONE else self.tracked_frames or 0


class Job(Work, Base):
    """A training set to be made, a predictor to be trained, both in a folder of the instance that has the
    job's name; or a frame to be segmented.

    kind: of `webapp.jobs.kinds.KINDS`, which says what `settings`, JSON, holds. result: JSON; what it found,
    if that is not in files. seconds: that it is expected to take.
    """

    __tablename__ = "jobs"
    noun, advice = "job", "continue it, and it goes on from where it was"

    kind: Mapped[str] = mapped_column(String(16), index=True)
    name: Mapped[str] = mapped_column(String(64))
    settings: Mapped[dict[str, Any]] = mapped_column(JSON)
    seconds: Mapped[float] = mapped_column(Float)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))

    @property
    def picture_key(self) -> str:
        """Where the storage keeps the picture that a segmentation made."""
        return f"jobs/{self.id}.png"


Worked = TypeVar("Worked", Run, Job)
