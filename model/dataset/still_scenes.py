"""Scenes whose motion can be read from one still: what stands in them and how it moves, drawn at random.

The cues, and what each tells:

- heading: a cut-out heads to the right of its own picture, so a mirrored one heads left; it is lit from the
  side that it heads to. All in a scene head the same way, as in traffic.
- dust: what heads somewhere leaves dust behind, as a car on a dirt road or a boat its wake; it reaches as far
  back as the thing moved in some 12 frames, so it tells the way and the speed.
- size: what is larger on the screen is nearer and faster.
- blur: the exposure ends at the moment of the frame, and its light grows towards the end (a flash at the end
  of the exposure, "rear-curtain"), so things trail behind themselves; a longer trail is a faster thing.
- follow: when the camera follows one thing, that one is sharp, and the background moves against its way.
- forward: on a road the camera moves ahead, so everything comes nearer, away from the end of the road.
- pan: when the camera pans, all that stands still moves against it, near things (large, low in the picture)
  more than far ones. To which side is hard to tell: only the trails' ends differ.
- fall: things in the air above the ground fall, and stop at the ground.
- roll: discs on a slope roll down, others stay.

And one without a cue, which is only made when it is asked for:

- unclear: a sharp photo that stays, or drifts any way. Most pictures are such; what learns from cues alone
  sees them everywhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from model.errors import BadInput

Cue = Literal["heading", "follow", "forward", "pan", "fall", "unclear"]
CUES: tuple[tuple[Cue, float], ...] = (
    ("heading", 0.25),
    ("follow", 0.3),
    ("forward", 0.25),
    ("pan", 0.05),
    ("fall", 0.15),
)
"""Kinds of scenes and their shares, where none are chosen."""

REFERENCE_HEIGHT = 256
_BACK_LIGHT, _FRONT_LIGHT = 0.5, 1.35
_FAR = 3.0  # how far the background is, in units of the distance of an object of medium size
_SHARP_SHARE = 0.2
_LONGEST_SHUTTER = 3.0  # frames
_DISC_SIDE = 160
_DUST_FRAMES = 12.0  # for how long dust is seen
_DUST_OPACITY = 0.85
_FASTEST_APPROACH = 0.08  # a frame; nothing passes the camera within the horizon
_SHARP_SHUTTER = 0.05  # frames
_STAYING_SHARE = 0.5  # of the unclear scenes


@dataclass(frozen=True)
class Path:
    """Motion of a picture over the frame; lengths in pixels, times in frames, 0 at the still.

    start: (x, y) of the picture's centre at time 0. velocity, acceleration: at time 0, and from then on.
    stop: when the motion ends (a fall at the ground). zoom: frame pixels for one of the picture.
    turn: radians, at time 0. mirrored: the picture is. radius: of a rolling disc; 0 does not roll.
    approach: share of the distance to the camera that is covered in a frame, at time 0; what comes nearer
        grows, and moves away from `focus`, (x, y), where the camera is heading to.
    """

    start: tuple[float, float]
    velocity: tuple[float, float] = (0.0, 0.0)
    acceleration: tuple[float, float] = (0.0, 0.0)
    stop: float = np.inf
    zoom: float = 1.0
    turn: float = 0.0
    mirrored: bool = False
    radius: float = 0.0
    approach: float = 0.0
    focus: tuple[float, float] = (0.0, 0.0)

    def moved(self, time: float) -> NDArray[np.float64]:
        """Return how far the centre is from its start at a time: float64 `[2]`."""
        passed = min(time, self.stop)
        return np.asarray(self.velocity) * passed + np.asarray(self.acceleration) * passed**2 / 2

    def to_frame(self, time: float, picture: tuple[int, int]) -> NDArray[np.float64]:
        """Return the map from a picture's pixels to the frame's, float64 `[2, 3]`.

        picture: its (height, width).
        """
        moved = self.moved(time)
        rolled = np.copysign(np.hypot(*moved), moved[0]) / self.radius if self.radius else 0.0
        cos, sin = np.cos(self.turn + rolled), np.sin(self.turn + rolled)
        mirror = -1.0 if self.mirrored else 1.0
        nearer = 1 / (1 - self.approach * time)
        linear = nearer * self.zoom * np.array([[cos * mirror, -sin], [sin * mirror, cos]])
        middle = (np.array([picture[1], picture[0]]) - 1) / 2
        focus = np.asarray(self.focus)
        centre = focus + nearer * (np.asarray(self.start) + moved - focus)
        return np.column_stack([linear, centre - linear @ middle])


@dataclass(frozen=True, eq=False)
class Layer:
    """A picture and its path.

    picture: uint8 `[h, w, 4]`, alpha straight. fills: it goes on, reflected, beyond its border.
    """

    picture: NDArray[np.uint8]
    path: Path
    fills: bool = False


@dataclass(frozen=True, eq=False)
class StillScene:
    """Layers from back to front, and how long the exposure lasts, in frames."""

    cue: Cue
    layers: tuple[Layer, ...]
    shutter: float


@dataclass(frozen=True, eq=False)
class Pictures:
    """What scenes are made of. surfaces: uint8 `[K, S, S, 3]`. objects: uint8 `[J, s, s, 4]`."""

    surfaces: NDArray[np.uint8]
    objects: NDArray[np.uint8]


@dataclass(frozen=True)
class _Stage:
    """What drawing a scene needs."""

    dice: Generator
    pictures: Pictures
    height: int
    width: int

    @property
    def unit(self) -> float:
        """Pixels of the frame for one of a frame 256 high."""
        return self.height / REFERENCE_HEIGHT

    def surface(self) -> NDArray[np.uint8]:
        """Choose and recolour a surface: uint8 `[S, S, 4]`."""
        chosen = self.pictures.surfaces[self.dice.integers(len(self.pictures.surfaces))]
        return _opaque(_recoloured(self.dice, chosen))

    def object(self) -> NDArray[np.uint8]:
        """Choose and recolour an object, lit from its heading: uint8 `[s, s, 4]`."""
        chosen = self.pictures.objects[self.dice.integers(len(self.pictures.objects))]
        colour = _recoloured(self.dice, chosen[..., :3])
        return np.dstack([_lit(colour), chosen[..., 3]])

    def background(self, velocity: tuple[float, float]) -> Layer:
        """A surface that fills the frame."""
        middle = ((self.width - 1) / 2, (self.height - 1) / 2)
        zoom = self.unit * self.dice.uniform(1.2, 1.8)
        return Layer(self.surface(), Path(middle, velocity, zoom=zoom), fills=True)


def choose_cues(names: str | None) -> tuple[tuple[Cue, float], ...]:
    """Return kinds of scenes and their shares: those of `CUES`, or those named, in equal shares.

    names: with commas between. Raises BadInput for a name that does not exist.
    """
    if names is None:
        return CUES
    wanted = [name.strip() for name in names.split(",")]
    known = {name: name for name in _DRAW}
    for name in wanted:
        if name not in known:
            raise BadInput(f"There is no cue {name!r}; there are {', '.join(known)}.")
    return tuple((cue, 1 / len(wanted)) for cue in _DRAW if cue in wanted)


def draw_scene(
    dice: Generator,
    pictures: Pictures,
    height: int,
    width: int,
    cues: Sequence[tuple[Cue, float]] = CUES,
) -> StillScene:
    """Draw a scene for frames of a size, with cues in their shares."""
    stage = _Stage(dice, pictures, height, width)
    names = [name for name, _ in cues]
    cue = names[dice.choice(len(names), p=[share for _, share in cues])]
    is_sharp = dice.random() < _SHARP_SHARE or cue == "unclear"
    shutter = _SHARP_SHUTTER if is_sharp else dice.uniform(1.0, _LONGEST_SHUTTER)
    return StillScene(cue, tuple(_DRAW[cue](stage)), float(shutter))


def _heading(stage: _Stage) -> list[Layer]:
    """Cut-outs on their ways before a camera that stands still."""
    layers = [stage.background((0.0, 0.0))]
    for traveller in _travellers(stage, int(stage.dice.integers(2, 6))):
        layers += [_dust(stage.dice, traveller), traveller]
    return layers


def _follow(stage: _Stage) -> list[Layer]:
    """The camera follows one cut-out; everything else moves against its way."""
    *others, main = _travellers(stage, int(stage.dice.integers(2, 5)))
    vx, vy = main.path.velocity
    lag = stage.dice.uniform(0.0, 0.15)
    camera = (vx * (1 - lag), vy * (1 - lag))
    layers = [stage.background((-camera[0] / 1.5, -camera[1] / 1.5))]
    for traveller in (*others, main):
        layers += [
            _seen_from(_dust(stage.dice, traveller), camera, 1.0),
            _seen_from(traveller, camera, 1.0),
        ]
    return layers


def _forward(stage: _Stage) -> list[Layer]:
    """The camera moves ahead along a road, past things that stand still, the near ones in front."""
    dice = stage.dice
    focus = (dice.uniform(0.3, 0.7) * stage.width, dice.uniform(0.3, 0.5) * stage.height)
    speed = dice.lognormal(np.log(0.035), 0.3)
    back = stage.background((0.0, 0.0))
    layers = [
        Layer(back.picture, replace(back.path, approach=speed / _FAR, focus=focus), fills=True),
        _road(stage, focus, min(speed, _FASTEST_APPROACH)),
    ]
    for size in sorted(dice.uniform(40, 170, int(dice.integers(2, 6)))):
        nearness = (size - 40) / 130
        y = focus[1] + (0.1 + 0.4 * nearness) * (stage.height - focus[1]) + dice.normal(0, 8) * stage.unit
        side = -1 if dice.random() < 0.5 else 1
        x = focus[0] + side * dice.uniform(0.1, 0.25 + 0.3 * nearness) * stage.width
        picture = stage.object()
        path = Path(
            (x, y),
            zoom=stage.unit * size / max(picture.shape),
            mirrored=bool(dice.random() < 0.5),
            approach=min(speed * size / 100, _FASTEST_APPROACH),
            focus=focus,
        )
        layers.append(Layer(picture, path))
    return layers


def _pan(stage: _Stage) -> list[Layer]:
    """The camera pans over things that stand still, the near ones in front."""
    dice = stage.dice
    speed = stage.unit * dice.lognormal(np.log(6.0), 0.4)
    angle = dice.normal(0.0, 0.25) + np.pi * (dice.random() < 0.5)
    camera = (speed * np.cos(angle), speed * np.sin(angle))
    layers = [stage.background((-camera[0] / _FAR, -camera[1] / _FAR))]
    for size in sorted(dice.uniform(40, 170, int(dice.integers(2, 6)))):
        # On a floor that reaches from the middle of the picture to its lower border.
        y = stage.height * (0.35 + 0.45 * (size - 40) / 130) + dice.normal(0, 8) * stage.unit
        x = dice.uniform(0.05, 0.95) * stage.width
        picture = stage.object()
        path = Path((x, y), zoom=stage.unit * size / max(picture.shape), mirrored=bool(dice.random() < 0.5))
        layers.append(_seen_from(Layer(picture, path), camera, 100.0 / size))
    return layers


def _fall(stage: _Stage) -> list[Layer]:
    """Things in the air fall; discs on the sloping ground roll down; others stand."""
    dice, unit = stage.dice, stage.unit
    slope = dice.uniform(0.08, 0.35) * (1 if dice.random() < 0.5 else -1)
    level = dice.uniform(0.6, 0.8) * stage.height  # of the ground in the middle of the picture
    normal = np.array([-np.sin(slope), np.cos(slope)])  # into the ground
    ground_picture = stage.surface()
    zoom = 2.2 * stage.unit
    depth = zoom * (ground_picture.shape[0] - 1) / 2
    middle = np.array([stage.width / 2, level])
    ground = Path(
        (float(middle[0] + normal[0] * depth), float(middle[1] + normal[1] * depth)), zoom=zoom, turn=slope
    )
    layers = [stage.background((0.0, 0.0)), Layer(ground_picture, ground)]
    gravity = 1.2 * unit
    for _ in range(int(dice.integers(2, 5))):
        size = dice.uniform(35, 90) * unit
        x = dice.uniform(0.1, 0.9) * stage.width
        surface_y = level + np.tan(slope) * (x - middle[0])
        kind = dice.choice(3, p=[0.5, 0.3, 0.2])
        if kind == 0:
            picture = stage.object()
            room = max(0.0, surface_y - size / 2 - 0.05 * stage.height)
            height = dice.uniform(0.3, 1.0) * room
            speed = dice.uniform(0.0, 5.0) * unit
            stop = (np.sqrt(speed**2 + 2 * gravity * height) - speed) / gravity
            path = Path(
                (x, surface_y - size / 2 - height),
                (0.0, speed),
                (0.0, gravity),
                float(stop),
                size / max(picture.shape),
                turn=dice.normal(0, 0.3),
            )
        else:
            is_disc = kind == 1
            picture = _disc(stage) if is_disc else stage.object()
            along = np.array([np.cos(slope), np.sin(slope)]) * np.sign(slope)
            pull = (gravity * abs(np.sin(slope)) * 1.5 if is_disc else 0.0) * along
            speed = (dice.uniform(1.0, 5.0) * unit if is_disc else 0.0) * along
            centre = np.array([x, surface_y]) - normal * size / 2
            path = Path(
                (float(centre[0]), float(centre[1])),
                (float(speed[0]), float(speed[1])),
                (float(pull[0]), float(pull[1])),
                zoom=size / max(picture.shape),
                turn=dice.uniform(0, 6.3) if is_disc else slope,
                radius=size / 2 if is_disc else 0.0,
            )
        layers.append(Layer(picture, path))
    return layers


def _unclear(stage: _Stage) -> list[Layer]:
    """A photo as it is; it stays, or the camera drifts, or moves ahead or back."""
    dice = stage.dice
    chosen = stage.pictures.surfaces[dice.integers(len(stage.pictures.surfaces))]
    middle = ((stage.width - 1) / 2, (stage.height - 1) / 2)
    path = Path(middle, zoom=stage.width / chosen.shape[1] * dice.uniform(1.0, 1.4))
    if dice.random() >= _STAYING_SHARE:
        speed, angle = stage.unit * dice.lognormal(0.0, 1.0), dice.uniform(0, 2 * np.pi)
        approach = float(np.clip(dice.normal(0, 0.01), -0.03, 0.03))
        velocity = (float(speed * np.cos(angle)), float(speed * np.sin(angle)))
        path = replace(path, velocity=velocity, approach=approach, focus=middle)
    return [Layer(_opaque(chosen), path, fills=True)]


def _road(stage: _Stage, focus: tuple[float, float], approach: float) -> Layer:
    """A road that narrows towards its end at the focus, and goes on below the frame."""
    height = 1.5 * (stage.height - focus[1])
    width = height * stage.dice.uniform(0.8, 2.0)
    y, x = np.mgrid[: max(2, round(height)), : max(2, round(width))]
    rows, columns = x.shape
    from_middle = np.abs(x - (columns - 1) / 2)
    inside = np.clip(columns / 2 * (y + 0.5) / rows - from_middle, 0, 1)
    colour = cv2.resize(stage.surface()[..., :3], (columns, rows), interpolation=cv2.INTER_AREA)
    picture = np.dstack([colour, np.round(255 * inside).astype(np.uint8)])
    return Layer(picture, Path((focus[0], focus[1] + (rows - 1) / 2), approach=approach, focus=focus))


def _dust(dice: Generator, traveller: Layer) -> Layer:
    """The dust behind a traveller: dense and narrow at its back, thin and wide where it was some time ago."""
    path = traveller.path
    size = path.zoom * max(traveller.picture.shape)
    speed = float(np.hypot(*path.velocity))
    behind = _DUST_FRAMES * speed
    length, width = max(8, round(behind + size / 2)), max(8, round(1.1 * size))
    y, x = np.mgrid[:width, :length]
    nearness = np.minimum((x + 0.5) / behind, 1)  # to the thing's back
    across = (2 * (y + 0.5) / width - 1) / (1 - 0.4 * nearness)
    coarse = dice.random((max(2, width // 6), max(2, length // 6)), np.float32)
    clouds = cv2.resize(coarse, (length, width), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    opacity = _DUST_OPACITY * nearness**0.7 * np.clip(2 * (1 - across**2), 0, 1) * (0.7 + 0.3 * clouds)
    pale = dice.uniform(190, 250) + dice.uniform(-15, 15, 3)
    colour = np.clip(pale + 40 * (clouds[..., None] - 0.5), 0, 255)
    picture = np.dstack([colour, 255 * opacity]).round().astype(np.uint8)
    # It reaches from the thing's middle to behind its back, and stays where it is.
    x, y = np.asarray(path.start) - np.asarray(path.velocity) / speed * length / 2
    return Layer(picture, Path((float(x), float(y)), turn=path.turn, mirrored=path.mirrored))


def _travellers(stage: _Stage, count: int) -> list[Layer]:
    """Cut-outs that head somewhere; the larger ones are nearer and faster."""
    dice = stage.dice
    layers = []
    mirrored = bool(dice.random() < 0.5)
    for size in sorted(dice.uniform(45, 160, count)):
        picture = stage.object()
        tilt = dice.normal(0, 0.2)
        speed = stage.unit * dice.lognormal(np.log(3.0 * size / 80), 0.3)
        ahead = -1.0 if mirrored else 1.0
        path = Path(
            (dice.uniform(0.1, 0.9) * stage.width, dice.uniform(0.2, 0.85) * stage.height),
            (ahead * speed * np.cos(tilt), speed * np.sin(tilt) * ahead),
            zoom=stage.unit * size / max(picture.shape),
            turn=tilt,
            mirrored=mirrored,
        )
        layers.append(Layer(picture, path))
    return layers


def _seen_from(layer: Layer, camera: tuple[float, float], distance: float) -> Layer:
    """Take the camera's motion from a layer's, divided by the layer's distance."""
    path = layer.path
    velocity = (path.velocity[0] - camera[0] / distance, path.velocity[1] - camera[1] / distance)
    return replace(layer, path=replace(path, velocity=velocity))


def _disc(stage: _Stage) -> NDArray[np.uint8]:
    """A disc cut out of a surface: uint8 `[160, 160, 4]`."""
    axis = np.arange(_DISC_SIDE) - (_DISC_SIDE - 1) / 2
    inside = np.clip(_DISC_SIDE / 2 - 1 - np.hypot(axis, axis[:, None]) + 0.5, 0, 1)
    colour = cv2.resize(stage.surface()[..., :3], (_DISC_SIDE, _DISC_SIDE), interpolation=cv2.INTER_AREA)
    return np.dstack([colour, np.round(255 * inside).astype(np.uint8)])


def _recoloured(dice: Generator, colour: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Swap and scale the channels of uint8 `[h, w, 3]` at random."""
    gain = dice.uniform(0.6, 1.3, 3).astype(np.float32)
    changed = colour[..., dice.permutation(3)] * gain + np.float32(dice.uniform(-15, 35))
    return np.asarray(np.clip(changed, 0, 255), np.uint8)


def _lit(colour: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Light an object from the right, where it heads to."""
    light = np.linspace(_BACK_LIGHT, _FRONT_LIGHT, colour.shape[1], dtype=np.float32)[None, :, None]
    return np.asarray(np.clip(colour * light, 0, 255), np.uint8)


def _opaque(colour: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.dstack([colour, np.full(colour.shape[:2], 255, np.uint8)])


_DRAW: dict[Cue, Callable[[_Stage], list[Layer]]] = {
    "heading": _heading,
    "follow": _follow,
    "forward": _forward,
    "pan": _pan,
    "fall": _fall,
    "unclear": _unclear,
}
