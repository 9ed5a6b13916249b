"""How long work tells its caller where it is, and asks whether to go on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from model.core.errors import Stopped

Item = TypeVar("Item")


@dataclass(frozen=True)
class Progress:
    """Where a piece of work is.

    stage: what is being done, as a person would say it ("tracking").
    done, total: counted in the stage's own unit (frames; within a chunk `done` is a share); total is None
        where it is not known.
    """

    stage: str
    done: float
    total: int | None = None

    @property
    def fraction(self) -> float | None:
        """The finished share of the stage, 0 to 1, or None where the total is not known."""
        return None if not self.total else min(1.0, self.done / self.total)


ReportProgress = Callable[[Progress], None]
ShouldStop = Callable[[], bool]
Say = Callable[[str], None]
"""Is told one sentence for a person: what is not as expected, though the work goes on."""


def ignore_progress(_: Progress) -> None:
    """Report to nobody."""


def say_nothing(_: str) -> None:
    """Tell nobody."""


def never_stop() -> bool:
    """Let the work run to its end."""
    return False


def raise_if_stopped(should_stop: ShouldStop) -> None:
    """Raise `Stopped` when the caller asks for the end of the work."""
    if should_stop():
        raise Stopped("The work was stopped on request.")


@dataclass(frozen=True)
class Watch:
    """Who watches a piece of work: is told where it is, and may stop it.

    progress: told. should_stop: asked. total: of what is counted (frames), if it is known.
    say: told what is not as expected.
    """

    progress: ReportProgress = ignore_progress
    should_stop: ShouldStop = never_stop
    total: int | None = None
    say: Say = say_nothing

    def check(self) -> None:
        """Raise Stopped when the watcher asks for the end of the work."""
        raise_if_stopped(self.should_stop)

    def report(self, stage: str, done: float) -> None:
        """Say what is done of `total`; raises as `check` does."""
        self.check()
        self.progress(Progress(stage, done, self.total))

    def each(self, stage: str, items: Sequence[Item]) -> Iterator[Item]:
        """Yield what is to be done piece by piece, and say how many are done; raises as `check` does."""
        for done, item in enumerate(items):
            self.check()
            self.progress(Progress(stage, done, len(items)))
            yield item
        self.progress(Progress(stage, len(items), len(items)))


UNWATCHED = Watch()
