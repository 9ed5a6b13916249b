"""Writing synthetic clips to disk, in the form that `evaluate tracker` and people can read."""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from model.core.errors import BadInput
from model.core.progress import Progress, ReportProgress, ShouldStop, raise_if_stopped
from model.motion.tracks import Method, Tracks
from model.synthetic.clips.batches import synthesize
from model.synthetic.clips.scene import SyntheticSettings
from model.synthetic.clips.textures import TextureBank


def write_clip_folders(
    out: Path,
    seed: int,
    count: int,
    settings: SyntheticSettings,
    bank: TextureBank,
    *,
    progress: ReportProgress,
    should_stop: ShouldStop,
) -> None:
    """Write clips as folders `out/clip-0000` and so on: frames as PNG, and their truth as `tracks.npz`.

    The truth is Tracks with the method "truth": visibility is 1 or 0. A clip that is there already is kept,
    so that the same command goes on where it was stopped; a folder is whole or absent.
    Raises BadInput for a count below 1, Stopped when `should_stop` says so.
    """
    if count < 1:
        raise BadInput(f"The number of clips must be at least 1, not {count}.")
    out.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        raise_if_stopped(should_stop)
        target = out / f"clip-{index:04}"
        if not target.exists():
            _write_clip(target, seed + index, settings, bank)
        progress(Progress("synthesizing", index + 1, count))


def _write_clip(target: Path, seed: int, settings: SyntheticSettings, bank: TextureBank) -> None:
    clips = synthesize(seed, 1, settings, bank)
    length, _, height, width = clips.frames[0].shape
    tracks = Tracks(
        points=clips.trajectories[0].cpu().numpy(),
        visibility=clips.visibility[0].cpu().numpy().astype(np.float32),
        frames=np.arange(length, dtype=np.int32),
        size=(height, width),
        fps=0.0,
        grid=None,
        method=Method("truth", settings={"seed": seed}),
    )
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        for index, frame in enumerate(clips.frames[0].permute(0, 2, 3, 1).cpu().numpy()):
            Image.fromarray(frame).save(temporary / f"{index:05}.png")
        tracks.save(temporary / "tracks.npz")
        temporary.chmod(0o755)  # mkdtemp's folders are private
        os.rename(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
