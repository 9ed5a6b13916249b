"""Scenes whose motion can be read from one still: what stands in them and how it moves, drawn at random.

The cues, and what each tells:

- heading: a cut-out moves to the right of its own picture, so a mirrored one moves left; it is lit from the
  side that it moves to. All in a scene move the same way, as in traffic.
- dust: a moving object leaves dust behind, as a car on a dirt road or a boat its wake, as long as its motion
  of some 12 frames; so it tells direction and speed.
- size: larger objects are nearer and faster.
- blur: the exposure ends at the moment of the frame, and its light grows towards the end (a flash at the end
  of the exposure, "rear-curtain"), so objects trail behind themselves, the faster, the longer.
- follow: when the camera follows one object, that one is sharp, and the background moves the other way.
- forward: on a road the camera moves ahead, so everything comes nearer, away from the end of the road.
- pan: when the camera pans, all that stands still moves against it, near objects (large, low in the picture)
  more than far ones. To which side is hard to tell: only the trails' ends differ.
- fall: objects in the air above the ground fall, and stop at the ground.
- roll: discs on a slope roll down, other objects stay.

And one without a cue, which is only made when it is asked for:

- unclear: a sharp photo that stays, or drifts in any direction. Most photos are such; a predictor that has
  learned from cues alone sees cues in them, too.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from model.core.errors import BadInput
from model.synthetic.stills.objects import Stage, disc, dust, moving_objects, opaque, road
from model.synthetic.stills.scene import Cue, Layer, Path, Pictures, StillScene

CUES: tuple[tuple[Cue, float], ...] = (
    ("heading", 0.25),
    ("follow", 0.3),
    ("forward", 0.25),
    ("pan", 0.05),
    ("fall", 0.15),
)
"""Kinds of scenes and their shares, where none are chosen."""

_FAR = 3.0  # how far the background is, in units of the distance of an object of medium size
_SHARP_SHARE = 0.2
_LONGEST_SHUTTER = 3.0  # frames
_FASTEST_APPROACH = 0.08  # a frame; nothing passes the camera within the horizon
_SHARP_SHUTTER = 0.05  # frames
_STAYING_SHARE = 0.5  # of the unclear scenes


def choose_cues(names: str | None) -> tuple[tuple[Cue, float], ...]:
    """Return kinds of scenes and their shares: those of `CUES`, or those named, in equal shares.

    names: with commas between. Raises BadInput for a name that does not exist.
    """
    if names is None:
        return CUES
    wanted = {name.strip() for name in names.split(",")}
    unknown = sorted(wanted - set(_DRAW))
    if unknown:
        raise BadInput(f"There is no cue {unknown[0]!r}; there are {', '.join(_DRAW)}.")
    return tuple((cue, 1 / len(wanted)) for cue in _DRAW if cue in wanted)


def draw_scene(
    rng: Generator,
    pictures: Pictures,
    height: int,
    width: int,
    cues: Sequence[tuple[Cue, float]] = CUES,
) -> StillScene:
    """Draw a scene for frames of a size, with cues in their shares."""
    stage = Stage(rng, pictures, height, width)
    names = [name for name, _ in cues]
    cue = names[rng.choice(len(names), p=[share for _, share in cues])]
    is_sharp = rng.random() < _SHARP_SHARE or cue == "unclear"
    shutter = _SHARP_SHUTTER if is_sharp else rng.uniform(1.0, _LONGEST_SHUTTER)
    return StillScene(cue, tuple(_DRAW[cue](stage)), float(shutter))


def _heading(stage: Stage) -> list[Layer]:
    """Cut-outs that move before a camera that stands still."""
    layers = [stage.background((0.0, 0.0))]
    for moving in moving_objects(stage, int(stage.rng.integers(2, 6))):
        layers += [dust(stage.rng, moving), moving]
    return layers


def _follow(stage: Stage) -> list[Layer]:
    """The camera follows one cut-out; everything else moves against its way."""
    *others, main = moving_objects(stage, int(stage.rng.integers(2, 5)))
    vx, vy = main.path.velocity
    lag = stage.rng.uniform(0.0, 0.15)
    camera = (vx * (1 - lag), vy * (1 - lag))
    layers = [stage.background((-camera[0] / 1.5, -camera[1] / 1.5))]
    for moving in (*others, main):
        layers += [_seen_from(layer, camera, 1.0) for layer in (dust(stage.rng, moving), moving)]
    return layers


def _forward(stage: Stage) -> list[Layer]:
    """The camera moves ahead along a road, past things that stand still, the near ones in front."""
    rng = stage.rng
    focus = (rng.uniform(0.3, 0.7) * stage.width, rng.uniform(0.3, 0.5) * stage.height)
    speed = rng.lognormal(np.log(0.035), 0.3)
    back = stage.background((0.0, 0.0))
    layers = [
        Layer(back.picture, replace(back.path, approach=speed / _FAR, focus=focus), fills=True),
        road(stage, focus, min(speed, _FASTEST_APPROACH)),
    ]
    for size in sorted(rng.uniform(40, 170, int(rng.integers(2, 6)))):
        nearness = (size - 40) / 130
        y = focus[1] + (0.1 + 0.4 * nearness) * (stage.height - focus[1]) + rng.normal(0, 8) * stage.unit
        side = -1 if rng.random() < 0.5 else 1
        x = focus[0] + side * rng.uniform(0.1, 0.25 + 0.3 * nearness) * stage.width
        approach = min(speed * size / 100, _FASTEST_APPROACH)
        layers.append(stage.standing((x, y), size, approach=approach, focus=focus))
    return layers


def _pan(stage: Stage) -> list[Layer]:
    """The camera pans over things that stand still, the near ones in front."""
    rng = stage.rng
    speed = stage.unit * rng.lognormal(np.log(6.0), 0.4)
    angle = rng.normal(0.0, 0.25) + np.pi * (rng.random() < 0.5)
    camera = (speed * np.cos(angle), speed * np.sin(angle))
    layers = [stage.background((-camera[0] / _FAR, -camera[1] / _FAR))]
    for size in sorted(rng.uniform(40, 170, int(rng.integers(2, 6)))):
        # On a floor that reaches from the middle of the picture to its lower border.
        y = stage.height * (0.35 + 0.45 * (size - 40) / 130) + rng.normal(0, 8) * stage.unit
        x = rng.uniform(0.05, 0.95) * stage.width
        layers.append(_seen_from(stage.standing((x, y), size), camera, 100.0 / size))
    return layers


def _fall(stage: Stage) -> list[Layer]:
    """Things in the air fall; discs on the sloping ground roll down; others stand."""
    rng, unit = stage.rng, stage.unit
    slope = rng.uniform(0.08, 0.35) * (1 if rng.random() < 0.5 else -1)
    level = rng.uniform(0.6, 0.8) * stage.height  # of the ground in the middle of the picture
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
    for _ in range(int(rng.integers(2, 5))):
        size = rng.uniform(35, 90) * unit
        x = rng.uniform(0.1, 0.9) * stage.width
        surface_y = level + np.tan(slope) * (x - middle[0])
        kind = rng.choice(3, p=[0.5, 0.3, 0.2])
        if kind == 0:
            picture = stage.object()
            room = max(0.0, surface_y - size / 2 - 0.05 * stage.height)
            height = rng.uniform(0.3, 1.0) * room
            speed = rng.uniform(0.0, 5.0) * unit
            stop = (np.sqrt(speed**2 + 2 * gravity * height) - speed) / gravity
            path = Path(
                (x, surface_y - size / 2 - height),
                (0.0, speed),
                (0.0, gravity),
                float(stop),
                size / max(picture.shape),
                turn=rng.normal(0, 0.3),
            )
        else:
            is_disc = kind == 1
            picture = disc(stage) if is_disc else stage.object()
            along = np.array([np.cos(slope), np.sin(slope)]) * np.sign(slope)
            pull = (gravity * abs(np.sin(slope)) * 1.5 if is_disc else 0.0) * along
            speed = (rng.uniform(1.0, 5.0) * unit if is_disc else 0.0) * along
            centre = np.array([x, surface_y]) - normal * size / 2
            path = Path(
                (float(centre[0]), float(centre[1])),
                (float(speed[0]), float(speed[1])),
                (float(pull[0]), float(pull[1])),
                zoom=size / max(picture.shape),
                turn=rng.uniform(0, 6.3) if is_disc else slope,
                radius=size / 2 if is_disc else 0.0,
            )
        layers.append(Layer(picture, path))
    return layers


def _unclear(stage: Stage) -> list[Layer]:
    """A photo as it is; it stays, or the camera drifts, or moves ahead or back."""
    rng = stage.rng
    chosen = stage.pictures.surfaces[rng.integers(len(stage.pictures.surfaces))]
    middle = ((stage.width - 1) / 2, (stage.height - 1) / 2)
    path = Path(middle, zoom=stage.width / chosen.shape[1] * rng.uniform(1.0, 1.4))
    if rng.random() >= _STAYING_SHARE:
        speed, angle = stage.unit * rng.lognormal(0.0, 1.0), rng.uniform(0, 2 * np.pi)
        approach = float(np.clip(rng.normal(0, 0.01), -0.03, 0.03))
        velocity = (float(speed * np.cos(angle)), float(speed * np.sin(angle)))
        path = replace(path, velocity=velocity, approach=approach, focus=middle)
    return [Layer(opaque(chosen), path, fills=True)]


def _seen_from(layer: Layer, camera: tuple[float, float], distance: float) -> Layer:
    """Take the camera's motion from a layer's, divided by the layer's distance."""
    path = layer.path
    velocity = (path.velocity[0] - camera[0] / distance, path.velocity[1] - camera[1] / distance)
    return replace(layer, path=replace(path, velocity=velocity))


_DRAW: dict[Cue, Callable[[Stage], list[Layer]]] = {
    "heading": _heading,
    "follow": _follow,
    "forward": _forward,
    "pan": _pan,
    "fall": _fall,
    "unclear": _unclear,
}
