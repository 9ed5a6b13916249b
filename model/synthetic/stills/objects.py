"""What scenes for stills are made of: surfaces, cut-outs, roads, dust and discs, each chosen at random."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from model.synthetic.stills.scene import Layer, Path, Pictures

REFERENCE_HEIGHT = 256
_BACK_LIGHT, _FRONT_LIGHT = 0.5, 1.35
_DISC_SIDE = 160
_DUST_FRAMES = 12.0  # for how long dust is seen
_DUST_OPACITY = 0.85


@dataclass(frozen=True)
class Stage:
    """Random numbers, pictures and frame size that a scene is drawn with; height, width: in pixels."""

    rng: Generator
    pictures: Pictures
    height: int
    width: int

    @property
    def unit(self) -> float:
        """Pixels of the frame for one of a frame 256 high."""
        return self.height / REFERENCE_HEIGHT

    def surface(self) -> NDArray[np.uint8]:
        """Choose and recolour a surface: uint8 `[S, S, 4]`."""
        chosen = self.pictures.surfaces[self.rng.integers(len(self.pictures.surfaces))]
        return opaque(_recoloured(self.rng, chosen))

    def object(self) -> NDArray[np.uint8]:
        """Choose and recolour an object, lit from its heading: uint8 `[s, s, 4]`."""
        chosen = self.pictures.objects[self.rng.integers(len(self.pictures.objects))]
        colour = _recoloured(self.rng, chosen[..., :3])
        return np.dstack([_lit(colour), chosen[..., 3]])

    def standing(self, start: tuple[float, float], size: float, **motion: Any) -> Layer:
        """An object that stands still, seen from either side; size: pixels of a frame 256 high.

        motion: of the camera towards it, `approach` and `focus` of `Path`.
        """
        picture = self.object()
        zoom = self.unit * size / max(picture.shape)
        return Layer(picture, Path(start, zoom=zoom, mirrored=bool(self.rng.random() < 0.5), **motion))

    def background(self, velocity: tuple[float, float]) -> Layer:
        """A surface that fills the frame."""
        middle = ((self.width - 1) / 2, (self.height - 1) / 2)
        zoom = self.unit * self.rng.uniform(1.2, 1.8)
        return Layer(self.surface(), Path(middle, velocity, zoom=zoom), fills=True)


def road(stage: Stage, focus: tuple[float, float], approach: float) -> Layer:
    """A road that narrows towards its end at the focus, and goes on below the frame."""
    height = 1.5 * (stage.height - focus[1])
    width = height * stage.rng.uniform(0.8, 2.0)
    y, x = np.mgrid[: max(2, round(height)), : max(2, round(width))]
    rows, columns = x.shape
    from_middle = np.abs(x - (columns - 1) / 2)
    inside = np.clip(columns / 2 * (y + 0.5) / rows - from_middle, 0, 1)
    colour = cv2.resize(stage.surface()[..., :3], (columns, rows), interpolation=cv2.INTER_AREA)
    picture = np.dstack([colour, np.round(255 * inside).astype(np.uint8)])
    return Layer(picture, Path((focus[0], focus[1] + (rows - 1) / 2), approach=approach, focus=focus))


def dust(rng: Generator, moving: Layer) -> Layer:
    """The dust behind a moving object: dense and narrow at its back, thin and wide further behind."""
    path = moving.path
    size = path.zoom * max(moving.picture.shape)
    speed = float(np.hypot(*path.velocity))
    behind = _DUST_FRAMES * speed
    length, width = max(8, round(behind + size / 2)), max(8, round(1.1 * size))
    y, x = np.mgrid[:width, :length]
    nearness = np.minimum((x + 0.5) / behind, 1)  # to the object's back
    across = (2 * (y + 0.5) / width - 1) / (1 - 0.4 * nearness)
    coarse = rng.random((max(2, width // 6), max(2, length // 6)), np.float32)
    clouds = cv2.resize(coarse, (length, width), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    opacity = _DUST_OPACITY * nearness**0.7 * np.clip(2 * (1 - across**2), 0, 1) * (0.7 + 0.3 * clouds)
    pale = rng.uniform(190, 250) + rng.uniform(-15, 15, 3)
    colour = np.clip(pale + 40 * (clouds[..., None] - 0.5), 0, 255)
    picture = np.dstack([colour, 255 * opacity]).round().astype(np.uint8)
    # It reaches from the object's middle to behind its back, and stays where it is.
    x, y = np.asarray(path.start) - np.asarray(path.velocity) / speed * length / 2
    return Layer(picture, Path((float(x), float(y)), turn=path.turn, mirrored=path.mirrored))


def moving_objects(stage: Stage, count: int) -> list[Layer]:
    """Cut-outs that head somewhere; the larger ones are nearer and faster."""
    rng = stage.rng
    layers = []
    mirrored = bool(rng.random() < 0.5)
    for size in sorted(rng.uniform(45, 160, count)):
        picture = stage.object()
        tilt = rng.normal(0, 0.2)
        speed = stage.unit * rng.lognormal(np.log(3.0 * size / 80), 0.3)
        ahead = -1.0 if mirrored else 1.0
        path = Path(
            (rng.uniform(0.1, 0.9) * stage.width, rng.uniform(0.2, 0.85) * stage.height),
            (ahead * speed * np.cos(tilt), speed * np.sin(tilt) * ahead),
            zoom=stage.unit * size / max(picture.shape),
            turn=tilt,
            mirrored=mirrored,
        )
        layers.append(Layer(picture, path))
    return layers


def disc(stage: Stage) -> NDArray[np.uint8]:
    """A disc cut out of a surface: uint8 `[160, 160, 4]`."""
    axis = np.arange(_DISC_SIDE) - (_DISC_SIDE - 1) / 2
    inside = np.clip(_DISC_SIDE / 2 - 1 - np.hypot(axis, axis[:, None]) + 0.5, 0, 1)
    colour = cv2.resize(stage.surface()[..., :3], (_DISC_SIDE, _DISC_SIDE), interpolation=cv2.INTER_AREA)
    return np.dstack([colour, np.round(255 * inside).astype(np.uint8)])


def _recoloured(rng: Generator, colour: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Swap and scale the channels of uint8 `[h, w, 3]` at random."""
    gain = rng.uniform(0.6, 1.3, 3).astype(np.float32)
    changed = colour[..., rng.permutation(3)] * gain + np.float32(rng.uniform(-15, 35))
    return np.asarray(np.clip(changed, 0, 255), np.uint8)


def _lit(colour: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Light an object from the right, where it heads to."""
    light = np.linspace(_BACK_LIGHT, _FRONT_LIGHT, colour.shape[1], dtype=np.float32)[None, :, None]
    return np.asarray(np.clip(colour * light, 0, 255), np.uint8)


def opaque(colour: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Append alpha to uint8 `[h, w, 3]`: `[h, w, 4]`."""
    return np.dstack([colour, np.full(colour.shape[:2], 255, np.uint8)])
