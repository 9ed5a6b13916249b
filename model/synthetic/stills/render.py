"""From a scene to its still and to the exact motion of its points."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from model.motion.grid import inside_frame
from model.synthetic.stills.scene import Layer, StillScene

_EXPOSURES = 11
_BRIGHTER = 3.0  # the light of the last moment of the exposure beside the first


class StillMotion(NamedTuple):
    """Where points go: float32 `[T, N, 2]`, pixels; bool `[T, N]`: in the frame and not covered."""

    points: NDArray[np.float32]
    visible: NDArray[np.bool_]


def render_still(scene: StillScene, size: tuple[int, int], rng: Generator) -> NDArray[np.uint8]:
    """Expose the still: uint8 `[H, W, 3]`; the exposure ends at time 0, with the most light.

    size: (height, width). rng: for the light and the noise.
    """
    moments = np.linspace(-scene.shutter, 0.0, _EXPOSURES)
    light = np.geomspace(1.0, _BRIGHTER, _EXPOSURES)
    light[-1] *= _BRIGHTER  # the flash
    total = np.zeros((*size, 3), np.float32)
    for moment, share in zip(moments, light / light.sum(), strict=True):
        total += np.float32(share) * _composed(scene.layers, float(moment), size)
    gain = rng.uniform(0.85, 1.15)
    noise = rng.standard_normal(total.shape, np.float32) * np.float32(rng.uniform(0, 4))
    return np.clip(np.round(total * np.float32(gain) + noise), 0, 255).astype(np.uint8)


def _composed(layers: tuple[Layer, ...], time: float, size: tuple[int, int]) -> NDArray[np.float32]:
    """All layers at one moment: float32 `[H, W, 3]`, 0 to 255."""
    image = np.zeros((*size, 3), np.float32)
    for layer in layers:
        matrix = layer.path.to_frame(time, _size(layer))
        border = cv2.BORDER_REFLECT if layer.fills else cv2.BORDER_CONSTANT
        drawn = cv2.warpAffine(
            _premultiplied(layer.picture),
            matrix,
            (size[1], size[0]),
            flags=cv2.INTER_LINEAR,
            borderMode=border,
        )
        image = np.asarray(drawn[..., :3] + (1 - drawn[..., 3:] / 255) * image, np.float32)
    return image


def move_points(
    scene: StillScene, queries: NDArray[np.float32], times: NDArray[np.floating], size: tuple[int, int]
) -> StillMotion:
    """Follow points of the still; each belongs to the nearest layer that is more than half opaque there.

    queries: float32 `[N, 2]`, pixels of the frame at time 0. times: `[T]`, in frames; the first is 0.
    """
    layers = scene.layers
    owner = np.zeros(len(queries), np.int64)
    for index, layer in enumerate(layers):
        owner[_opacity(layer, queries, 0.0) > 0.5] = index
    points = np.empty((len(times), *queries.shape), np.float64)
    for index, layer in enumerate(layers):
        mine = owner == index
        on_picture = _to_picture(layer, queries[mine], 0.0)
        for row, time in enumerate(times):
            points[row, mine] = _mapped(layer.path.to_frame(float(time), _size(layer)), on_picture)
    visible = inside_frame(points, size)
    for row, time in enumerate(times):
        for index, layer in enumerate(layers):
            visible[row] &= ~((index > owner) & (_opacity(layer, points[row], float(time)) > 0.5))
    return StillMotion(points.astype(np.float32), visible)


def _opacity(layer: Layer, points: NDArray[np.floating], time: float) -> NDArray[np.float32]:
    """Bilinear alpha, 0 to 1, of a layer at points `[N, 2]` of the frame."""
    if layer.fills:
        return np.ones(len(points), np.float32)
    places = _to_picture(layer, points, time).astype(np.float32)
    x, y = np.ascontiguousarray(places[:, :1]), np.ascontiguousarray(places[:, 1:])
    read = cv2.remap(layer.picture[..., 3], x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(read[:, 0] / np.float32(255), np.float32)


def _to_picture(layer: Layer, points: NDArray[np.floating], time: float) -> NDArray[np.float64]:
    matrix = layer.path.to_frame(time, _size(layer))
    return _mapped(np.asarray(cv2.invertAffineTransform(matrix), np.float64), points)


def _mapped(matrix: NDArray[np.floating], points: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float64)


def _size(layer: Layer) -> tuple[int, int]:
    return layer.picture.shape[0], layer.picture.shape[1]


def _premultiplied(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    values = picture.astype(np.float32)
    values[..., :3] *= values[..., 3:] / 255
    return values
