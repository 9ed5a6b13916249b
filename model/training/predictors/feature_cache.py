"""Features of a frozen backbone, computed once and kept on disk, so that training the head is cheap.

Each sample has several views: the first is plain, the others are flipped, cropped and recoloured at random.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.core.devices import autocast, has_fast_bfloat16
from model.core.errors import BadInput
from model.core.files import write_json
from model.core.progress import Progress, Watch
from model.prediction.network import MotionPredictor, normalise
from model.training.predictors.examples import Example

FLUSH_EVERY = 64


@dataclass(frozen=True, eq=False)
class FeatureCache:
    """Feature maps of the views of several sets, on disk: for each set, float16 `[views, C, h, w]` arrays."""

    parts: tuple[tuple[NDArray[np.float16], ...], ...]

    def read(self, rows: Sequence[int], device: torch.device) -> tuple[Tensor, ...]:
        """Return the features of views, `[B, C, h, w]` each, in the precision that the device computes in.

        rows: numbers of views, counted through the sets.
        """
        kind = torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
        chosen = [self._maps(row) for row in rows]
        return tuple(torch.from_numpy(np.stack(each)).to(device, kind) for each in zip(*chosen, strict=True))

    def _maps(self, row: int) -> tuple[NDArray[np.float16], ...]:
        for part in self.parts:
            if row < len(part[0]):
                return tuple(each[row] for each in part)
            row -= len(part[0])
        raise IndexError(row)


@torch.no_grad()
def compute_features(network: MotionPredictor, pictures: Tensor) -> tuple[Tensor, ...]:
    """Run the backbone on uint8 pictures `[B, 3, H, W]`, in bfloat16 where the device has it."""
    device = next(network.parameters()).device
    with autocast(device):
        features = network.features(normalise(pictures.to(device)))
    return tuple(each.half() for each in features)


def open_features(
    folder: Path,
    network: MotionPredictor,
    description: object,
    views: Sequence[Callable[[], Example]],
    watch: Watch,
) -> tuple[NDArray[np.float16], ...]:
    """Compute what is missing of one set's features, and open them: float16 `[views, C, h, w]` each.

    description: JSON values that say all that the features depend on; another description, other files.
    views: each makes an example.
    watch: told the stage "computing features" and the views done.
    Raises Stopped on request, BadInput when the disk is too small; a repeat goes on.
    """
    name = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:16]
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    shapes = [tuple(each.shape[1:]) for each in compute_features(network, views[0]().picture[None])]
    count = len(views)
    needed = sum(int(np.prod(shape)) for shape in shapes) * 2 * count
    files = [place / f"{index}.npy" for index in range(len(shapes))]
    done_file = place / "done.json"
    done = json.loads(done_file.read_text()) if done_file.exists() else 0
    if not done:
        free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
        if needed > free:
            raise BadInput(
                f"The features of {count} views need {needed / 1e9:.1f} GB, but {folder} has "
                f"{free / 1e9:.1f} GB free; take fewer samples or views, or another folder with --features."
            )
    maps = tuple(
        np.lib.format.open_memmap(file, "r+" if done else "w+", np.float16, (count, *shape))
        for file, shape in zip(files, shapes, strict=True)
    )
    for number in range(done, count):
        watch.check()
        features = compute_features(network, views[number]().picture[None])
        for target, each in zip(maps, features, strict=True):
            target[number] = each[0].cpu().numpy()
        if (number + 1) % FLUSH_EVERY == 0 or number + 1 == count:
            for target in maps:
                target.flush()
            write_json(done_file, number + 1)
        watch.progress(Progress("computing features", number + 1, count))
    return maps
