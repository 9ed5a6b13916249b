"""Who removed what, or put it into the bin, and when: one line of JSON each in the instance's `audit.log`."""

import json
import logging
import os
from datetime import UTC, datetime

from flask import request

from webapp.core.settings import Settings

log = logging.getLogger(__name__)


def note_request(settings: Settings, done: str = "removed") -> None:
    """Write down that this request has removed what is at its address, or put it into the bin."""
    note_removal(settings, request.path, request.remote_addr or "", done)


def note_removal(settings: Settings, what: str, by: str, done: str = "removed") -> None:
    """Write down a removal. what: its address. by: a client's address, or the setting that asked for it.

    A disk that is full stops no removal: the line then goes to the log alone.
    """
    line = json.dumps({"at": datetime.now(UTC).isoformat(timespec="seconds"), done: what, "by": by})
    try:
        with open(settings.instance / "audit.log", "a", encoding="utf-8", opener=_private) as file:
            file.write(line + "\n")
    except OSError as error:
        log.warning("%s (audit.log cannot be written: %s)", line, error.strerror)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
