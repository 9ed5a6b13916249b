"""The product's own sample clips: procedural, with their true motion."""

import json
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import torch

from model.core.files import atomic_path, write_json
from model.core.progress import UNWATCHED, Watch
from model.motion.grid import query_grid
from model.overlay.render import write_video
from model.synthetic.batches import synthesize
from model.synthetic.scene import SyntheticSettings
from model.synthetic.textures import procedural_bank

GRID = 16
FRAMES_PER_SECOND = 20
LICENCE = "MIT, made by `python -m model synthesize --samples`"


@dataclass(frozen=True)
class _SampleClip:
    """A sample: its file's name, what people read, and what it is made from."""

    name: str
    title: str
    description: str
    seed: int
    settings: SyntheticSettings


BANK_SEED = 11
_BASE = SyntheticSettings(
    288, 512, frames=40, time_step=0.2, photometric=False, motion_blur=0.0, frame_drops=0.0
)

SAMPLE_CLIPS = (
    _SampleClip(
        "drifting-shapes",
        "Drifting shapes",
        "Objects that turn, grow and cross before a background that moves too.",
        20,
        replace(_BASE, layers=(5, 7), speed=2.4),
    ),
    _SampleClip(
        "camera-pan",
        "Camera pan",
        "One surface under a moving camera: every point moves, and none is hidden.",
        0,
        replace(_BASE, layers=(1, 1), speed=3.5),
    ),
    _SampleClip(
        "occlusion",
        "Occlusion",
        "Objects that pass in front of each other: points disappear and come back.",
        0,
        replace(_BASE, layers=(5, 7), speed=2.0),
    ),
)
"""Their seeds were chosen by eye."""


def write_sample_clips(out: Path, watch: Watch = UNWATCHED) -> None:
    """Write each sample as NAME.mp4 and NAME.tracks.npz, and `samples.json`, which lists them.

    Other samples that the list has already, such as photos, stay in it, behind these. The truth is that of a
    16×16 grid of query points in the first frame (model.motion.grid), in every frame.
    """
    out.mkdir(parents=True, exist_ok=True)
    for sample in watch.each("rendering", SAMPLE_CLIPS):
        _write_sample(out, sample)
    listed = [
        {"file": f"{clip.name}.mp4", "title": clip.title, "description": clip.description, "licence": LICENCE}
        for clip in SAMPLE_CLIPS
    ]
    made = {entry["file"] for entry in listed}
    path = out / "samples.json"
    others = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    write_json(path, [*listed, *(entry for entry in others if entry["file"] not in made)])


def _write_sample(out: Path, sample: _SampleClip) -> None:
    size = (sample.settings.height, sample.settings.width)
    queries = torch.from_numpy(query_grid(GRID, size))
    clips = synthesize(sample.seed, 1, sample.settings, procedural_bank(BANK_SEED, 24, 48), queries)
    with atomic_path(out / f"{sample.name}.mp4") as temporary:
        write_video(temporary, iter(clips.pictures(0)), Fraction(FRAMES_PER_SECOND), ".mp4")
    truth = clips.truth(0, sample.seed, float(FRAMES_PER_SECOND), (GRID, GRID))
    truth.save(out / f"{sample.name}.tracks.npz")
