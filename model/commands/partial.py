"""What an interrupted `track` leaves beside its --out, and goes on from when the command is given again."""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model.core.arrays import read_arrays
from model.core.errors import BadInput
from model.motion.tracks import Method, Tracks
from model.tracking.engine import State
from model.weights.registry import file_sha256

STATE_PREFIX = "state_"


@dataclass(frozen=True)
class Job:
    """Everything that the numbers depend on; two equal jobs give the same tracks.

    clip: sha256 of the clip's bytes. settings: the request. method: as in the tracks.
    """

    clip: str
    settings: Mapping[str, Any]
    method: Method

    @classmethod
    def of(cls, clip: Path, settings: Mapping[str, Any], method: Method) -> "Job":
        """Describe the tracking of a file or of a folder of images."""
        if clip.is_dir():
            files = sorted(path for path in clip.iterdir() if path.is_file())
            listed = "".join(f"{file_sha256(path)} {path.name}\n" for path in files)
            digest = hashlib.sha256(listed.encode()).hexdigest()
        else:
            digest = file_sha256(clip)
        return cls(digest, settings, method)

    def text(self) -> str:
        """Return it as JSON, the same text for equal jobs."""
        return json.dumps(asdict(self), sort_keys=True)


def partial_path(out: Path) -> Path:
    """Return where the first frames of `out` lie until it is whole."""
    return out.with_name(f"{out.stem}.partial.npz")


def save_partial(path: Path, tracks: Tracks, state: State, job: Job) -> None:
    """Write the tracks of the first frames, with what it takes to go on; the file appears whole."""
    named = {f"{STATE_PREFIX}{name}": array for name, array in state.items()}
    tracks.save(path, {"job": np.array(job.text()), **named})


def load_state(path: Path, job: Job) -> State | None:
    """Return what it takes to go on with a job; None where the method could only start again.

    Raises BadInput when the file is damaged or of another job.
    """
    try:
        with path.open("rb") as file:
            content = read_arrays(file)
        is_ours = str(content["job"]) == job.text()
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path.name} is damaged, so tracking starts again.") from error
    if not is_ours:
        raise BadInput(f"{path.name} is from another clip or other settings, so tracking starts again.")
    state = {
        name.removeprefix(STATE_PREFIX): array
        for name, array in content.items()
        if name.startswith(STATE_PREFIX)
    }
    return state or None
