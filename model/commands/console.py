"""Progress on the console."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from model.core.progress import Progress, ReportProgress


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
