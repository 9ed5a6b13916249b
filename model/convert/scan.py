"""Scanning all videos before the work: what each holds, and which cannot be used."""

import dataclasses
import hashlib
import json
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from model.clips.video import probe
from model.convert.plan import Source
from model.convert.sources import Changed, NoRoom, Place, content_sha256
from model.core.errors import BadInput, Stopped, Unreachable
from model.core.progress import UNWATCHED, ShouldStop, Watch
from model.core.structure import from_json
from model.datasets.folder import DataFolder
from model.datasets.shards import Failure

CATALOGUE = "catalogue.json"
SECONDS_BETWEEN_SAVES = 30.0
TRACEBACKS = "tracebacks"


@dataclass(frozen=True)
class Scan:
    """sources: videos that can be used. failures: those that cannot."""

    sources: tuple[Source, ...]
    failures: tuple[Failure, ...]


def scan(places: Sequence[Place], folder: DataFolder, watch: Watch = UNWATCHED) -> Scan:
    """Probe every video, each file once; what was found is kept in the folder, for the next time.

    folder: of the training set. watch: told the stage "looking at videos" and how many are done.
    Raises Unreachable when the storage of a video does not answer.
    """
    seen = _load(folder)
    sources: list[Source] = []
    failures: list[Failure] = []
    last_save, is_saved = time.monotonic(), True
    for place in watch.each("looking at videos", places):
        try:
            fingerprint = place.fingerprint()
            source = seen.get((place.path, fingerprint))
            if source is None:
                source = probe_source(place, fingerprint, watch.should_stop)
                seen[(place.path, fingerprint)] = source
                is_saved = False
            sources.append(dataclasses.replace(source, place=place))
        except (MemoryError, Stopped, Unreachable, NoRoom):
            raise
        except Exception as error:  # noqa: BLE001 - one odd video must not end days of work
            failures.append(failure(place.name, error, folder))
        if not is_saved and time.monotonic() - last_save > SECONDS_BETWEEN_SAVES:
            _save(folder, list(seen.values()))
            last_save, is_saved = time.monotonic(), True
    if not is_saved:
        _save(folder, list(seen.values()))
    return Scan(tuple(sources), tuple(failures))


def probe_source(place: Place, fingerprint: str, should_stop: ShouldStop) -> Source:
    """Find out what a video holds, and its sha256. Raises BadInput or OSError when it cannot be used."""
    with place.fetched(should_stop) as path:
        info = probe(path)
        if info.frames < 2:
            raise BadInput("It holds a single picture; a video needs at least 2 frames.")
        sha256 = content_sha256(path)
    if place.fingerprint() != fingerprint:
        raise Changed("It was changed while it was read; convert it again when it is finished.")
    return Source(place, fingerprint, sha256, info.frames, info.fps, (info.height, info.width))


def failure(name: str, error: Exception, folder: DataFolder) -> Failure:
    """Keep an error's traceback in the folder and return what stands in `errors.jsonl`."""
    text = "".join(traceback.format_exception(error)).encode(errors="backslashreplace")
    number = hashlib.sha256(text).hexdigest()[:12]
    trace = f"{TRACEBACKS}/{number}.txt"
    if not folder.exists(trace):
        folder.write(trace, text)
    return Failure(name, reason_of(error), number, may_pass=isinstance(error, (Changed, OSError)))


def reason_of(error: Exception) -> str:
    """Say in one sentence why a video cannot be used."""
    if isinstance(error, BadInput):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"It cannot be read ({error.strerror})."
    return f"An error inside Stillmotion ({type(error).__name__}: {error}); see its traceback."


def _load(folder: DataFolder) -> dict[tuple[str, str], Source]:
    """Read what was found before; without it, or where it is unreadable, everything is probed again."""
    try:
        sources = from_json(list[Source], json.loads(folder.read(CATALOGUE)), CATALOGUE)
    except (FileNotFoundError, ValueError):
        return {}
    return {(source.place.path, source.fingerprint): source for source in sources}


def _save(folder: DataFolder, sources: Sequence[Source]) -> None:
    folder.write(CATALOGUE, json.dumps([dataclasses.asdict(source) for source in sources]).encode())
