"""Progress on the console, and Ctrl-C."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from tqdm import tqdm

from model.core.progress import Progress, ReportProgress, ShouldStop, Watch


@contextmanager
def progress_bar(unit: str) -> Iterator[ReportProgress]:
    """Show progress reports as a bar on stderr, with time left; one that begins anew gets a new bar."""
    bar: tqdm[Any] | None = None

    def report(progress: Progress) -> None:
        nonlocal bar
        if bar is not None and (progress.done < bar.n or progress.total != bar.total):
            bar.close()
            bar = None
        if bar is None:
            bar = tqdm(
                total=progress.total,
                unit=unit,
                bar_format="{desc}{percentage:3.0f}%|{bar}| {n:.1f}/{total} {unit} [{elapsed}<{remaining}]",
            )
        bar.set_description(progress.stage, refresh=False)
        bar.update(progress.done - bar.n)

    try:
        yield report
    finally:
        if bar is not None:
            bar.close()


@contextmanager
def stop_on_interrupt(*, saves: bool = False) -> Iterator[ShouldStop]:
    """Turn the first Ctrl-C into a request to stop; the second one interrupts at once.

    saves: of work that writes a checkpoint when it is to stop. SIGTERM asks for that too, and more signals
    change nothing.
    """
    is_asked = False

    def ask(number: int, _frame: FrameType | None) -> None:
        nonlocal is_asked
        is_asked = True
        if not saves:
            signal.signal(number, usual[signal.Signals(number)])

    numbers = (signal.SIGINT, signal.SIGTERM) if saves else (signal.SIGINT,)
    usual = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield lambda: is_asked
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


@contextmanager
def watched(unit: str, *, saves: bool = False) -> Iterator[Watch]:
    """Show progress as `progress_bar` does, and end as `stop_on_interrupt` does."""
    with progress_bar(unit) as report, stop_on_interrupt(saves=saves) as should_stop:
        yield Watch(report, should_stop)
