"""Writing synthetic clips to disk, in the form that `evaluate tracker` and people can read."""

import os
import shutil
import tempfile
from pathlib import Path

from PIL import Image

from model.core.errors import BadInput
from model.core.progress import UNWATCHED, Watch
from model.synthetic.batches import synthesize
from model.synthetic.scene import SyntheticSettings
from model.synthetic.textures import TextureBank


def write_clip_folders(
    out: Path,
    seed: int,
    count: int,
    settings: SyntheticSettings,
    bank: TextureBank,
    watch: Watch = UNWATCHED,
) -> None:
    """Write clips as folders `out/clip-0000` and so on: frames as PNG, and their truth as `tracks.npz`.

    A clip that is there already is kept, so that the same command goes on where it was stopped; a folder is
    whole or absent.
    Raises BadInput for a count below 1, Stopped on request.
    """
    if count < 1:
        raise BadInput(f"The number of clips must be at least 1, not {count}.")
    out.mkdir(parents=True, exist_ok=True)
    for index in watch.each("synthesizing", range(count)):
        target = out / f"clip-{index:04}"
        if not target.exists():
            _write_clip(target, seed + index, settings, bank)


def _write_clip(target: Path, seed: int, settings: SyntheticSettings, bank: TextureBank) -> None:
    clips = synthesize(seed, 1, settings, bank)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        for index, frame in enumerate(clips.pictures(0)):
            Image.fromarray(frame).save(temporary / f"{index:05}.png")
        clips.truth(0, seed).save(temporary / "tracks.npz")
        temporary.chmod(0o755)  # mkdtemp's folders are private
        os.rename(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
