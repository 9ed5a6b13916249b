"""Progress on the console."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from model.progress import Progress, ReportProgress


@contextmanager
def progress_bar(unit: str) -> Iterator[ReportProgress]:
    """Show progress reports as a bar on stderr, with time left; a new stage begins a new bar."""
    bar: tqdm[Any] | None = None
    stage = ""

    def report(progress: Progress) -> None:
        nonlocal bar, stage
        if bar is None or progress.stage != stage or progress.done < bar.n:
            if bar is not None:
                bar.close()
            stage = progress.stage
            bar = tqdm(
                total=progress.total,
                desc=stage,
                unit=unit,
                bar_format="{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total} {unit} [{elapsed}<{remaining}]",
            )
        bar.update(progress.done - bar.n)

    try:
        yield report
    finally:
        if bar is not None:
            bar.close()
