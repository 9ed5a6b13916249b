"""A request that wants an overlay: it waits a little for the job that draws it, in few threads at once."""

import time

from webapp.actions.backend import Backend
from webapp.jobs.overlays import OverlayRequest
from webapp.rows.records import Run

PATIENCE = 10.0
"""Seconds that a request waits before it says that it takes longer."""

LOOK_SECONDS = 0.1


def wait_for_overlay(
    backend: Backend, run: Run, wanted: OverlayRequest, is_patient: bool = True
) -> float | None:
    """Have an overlay drawn if it is not there, and wait a little for it if `is_patient`.

    Returns how much of it is drawn: 1 once it is there; see `RunQueue.draw_overlay`.
    """
    key = wanted.key(run)
    if backend.storage.exists(key):
        return 1.0
    drawn = backend.queue.draw_overlay(run, wanted)
    if not is_patient or not backend.waiting.acquire(blocking=False):
        return drawn
    try:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
            if backend.storage.exists(key):
                return 1.0
            drawn = backend.queue.draw_overlay(run, wanted)
        return drawn
    finally:
        backend.waiting.release()
