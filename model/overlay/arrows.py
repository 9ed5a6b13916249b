"""Predicted motion drawn on its image, and classes drawn over theirs, as pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from model.core.files import atomic_path
from model.motion.grid import rescale_points
from model.motion.prediction import Prediction
from model.overlay.colours import direction_colour
from model.overlay.expectation import PERHAPS, expected_way

LONGEST_SIDE = 1600
"""Pixels; larger images are made smaller."""

_SMALLEST_SIDE = 480  # smaller ones are enlarged, so that arrows can be seen
_DARKENED = 0.75
_LEVELS = 8  # of opacity
_UNTOLD = (255, 250, 235)
_OPACITY = 0.55
_LEGEND_WIDTH, _LINE = 230, 26


def draw_prediction(image: NDArray[np.uint8], prediction: Prediction) -> NDArray[np.uint8]:
    """Draw what is likely to move, the likelier the more opaque: uint8 `[h, w, 3]`.

    A point whose direction is told is an arrow in its colour, another one a pale ring; a
    point that most likely stays is left out.
    image: uint8 `[H, W, 3]`, of the tracks' size.
    """
    tracks = prediction.tracks
    size = _drawn_size(tracks.size)
    canvas = np.asarray(np.array(_resized(image, size)) * _DARKENED, np.uint8)
    starts = rescale_points(tracks.points[0], tracks.size, size)
    way = expected_way(prediction)
    ends = rescale_points(tracks.points[0] + way.end, tracks.size, size)
    colours = direction_colour(way.end)
    width = max(1, round(min(size) / 300))
    level = np.round(way.moving * _LEVELS).astype(int)
    for opacity in np.unique(level[way.moving >= PERHAPS]):
        layer = canvas.copy()
        for index in np.flatnonzero((level == opacity) & (way.moving >= PERHAPS)):
            if way.has_direction[index]:
                colour = colours[index].tolist()
                cv2.arrowedLine(
                    layer,
                    _pixel(starts[index]),
                    _pixel(ends[index]),
                    colour,
                    width,
                    cv2.LINE_AA,
                    tipLength=0.3,
                )
            else:
                cv2.circle(layer, _pixel(starts[index]), 3 * width, _UNTOLD, width, cv2.LINE_AA)
        share = opacity / _LEVELS
        canvas = np.asarray(cv2.addWeighted(layer, share, canvas, 1 - share, 0), np.uint8)
    return canvas


def class_colours(count: int) -> NDArray[np.uint8]:
    """Return Pascal VOC's colours: the bits of the class, three by three, as the highest bits of r, g, b."""
    colours = np.zeros((count, 3), np.uint8)
    for index in range(count):
        for bit in range(8):
            for channel in range(3):
                colours[index, channel] |= ((index >> (3 * bit + channel)) & 1) << (7 - bit)
    return colours


def colour_classes(image: NDArray[np.uint8], labels: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Colour the classes over an image; small ones are enlarged: uint8 `[h, w, 3]`.

    image: uint8 `[H, W, 3]`. labels: uint8 `[H, W]`, below `count`; 0 is left as it is.
    """
    size = _drawn_size((image.shape[0], image.shape[1]))
    picture = np.asarray(_resized(image, size), np.float32)
    classes = cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST)
    over = (1 - _OPACITY) * picture + _OPACITY * class_colours(count)[classes]
    return np.asarray(np.where((classes > 0)[..., None], over, picture).clip(0, 255).round(), np.uint8)


def draw_classes(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], names: Sequence[str], shares: Mapping[str, float]
) -> NDArray[np.uint8]:
    """Colour the classes over an image, with a legend of those that are there to its right.

    image: uint8 `[H, W, 3]`. labels: uint8 `[H, W]`, indices into `names`; 0 is left as it is.
    shares: of the image, by name, in the order of the legend.
    """
    drawn, colours = colour_classes(image, labels, len(names)), class_colours(len(names))
    size = drawn.shape[:2]
    height = max(size[0], 20 + _LINE * len(shares))
    page = Image.new("RGB", (size[1] + _LEGEND_WIDTH, height), "white")
    page.paste(Image.fromarray(drawn), (0, 0))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(15)
    for line, (name, share) in enumerate(shares.items()):
        x, y = size[1] + 14, 12 + _LINE * line
        colour = tuple(int(value) for value in colours[names.index(name)])
        pen.rectangle((x, y, x + 18, y + 16), fill=colour, outline="black")
        pen.text((x + 28, y - 1), f"{name}  {100 * share:.1f} %", fill="black", font=font)
    return np.asarray(page)


def write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write uint8 `[h, w, 3]` as PNG; the file appears whole or not at all."""
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary, "PNG")


def _drawn_size(size: tuple[int, int]) -> tuple[int, int]:
    scale = max(1.0, _SMALLEST_SIDE / min(size))
    scale = min(scale, LONGEST_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.array(Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC))


def _pixel(point: NDArray[np.floating]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
