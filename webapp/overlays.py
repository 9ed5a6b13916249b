"""A request that wants an overlay: it waits a little for the job that draws it, in few threads at once."""

import time

from webapp.backend import Backend
from webapp.jobs.overlays import OverlayRequest
from webapp.records import Run

PATIENCE = 10.0
"""Seconds that a request waits before it says that it takes longer."""

LOOK_SECONDS = 0.1


def wait_for_overlay(backend: Backend, run: Run, wanted: OverlayRequest) -> bool:
    """Have an overlay drawn if it is not there; tell whether it is now. See `RunQueue.draw_overlay`."""
    key = wanted.key(run)
    if backend.storage.exists(key):
        return True
    backend.queue.draw_overlay(run, wanted)
    if not backend.waiting.acquire(blocking=False):
        return False
    try:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
            if backend.storage.exists(key):
                return True
            backend.queue.draw_overlay(run, wanted)
        return False
    finally:
        backend.waiting.release()
