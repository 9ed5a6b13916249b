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
from model.overlay.colours import STILL, direction_colour
from model.overlay.motion import total_displacement

LONGEST_SIDE = 1600
"""Pixels; larger images are made smaller."""

_SMALLEST_SIDE = 480  # smaller ones are enlarged, so that arrows can be seen
_DARKENED = 0.75
_OPACITY = 0.55
_LEGEND_WIDTH, _LINE = 230, 26


def draw_prediction(image: NDArray[np.uint8], prediction: Prediction) -> NDArray[np.uint8]:
    """Draw each point's expected way as an arrow in the colour of its direction: uint8 `[h, w, 3]`.

    Still points are dots; the interval of each point's end is an ellipse.
    image: uint8 `[H, W, 3]`, of the tracks' size.
    """
    tracks, interval = prediction.tracks, prediction.interval
    size = _drawn_size(tracks.size)
    canvas = np.asarray(np.array(_resized(image, size)) * _DARKENED, np.uint8)
    points = rescale_points(tracks.points, tracks.size, size)
    moved = total_displacement(tracks)
    colours = direction_colour(moved).tolist()
    width = max(1, round(min(size) / 360))
    canvas = _ellipses(canvas, rescale_points(interval[:, -1], tracks.size, size), colours)
    for index, colour in enumerate(colours):
        path = np.round(points[:, index] * 16).astype(np.int32)
        if np.hypot(*moved[index]) < STILL:
            cv2.circle(canvas, _pixel(points[0, index]), width, colour, -1, cv2.LINE_AA)
            continue
        cv2.polylines(canvas, [path[:, None]], False, colour, width, cv2.LINE_AA, shift=4)
        end, before = points[-1, index], points[-2, index]
        start = end - (end - before) / max(1e-6, np.hypot(*(end - before))) * 6 * width
        cv2.arrowedLine(canvas, _pixel(start), _pixel(end), colour, width, cv2.LINE_AA, tipLength=0.9)
    return canvas


def _ellipses(
    canvas: NDArray[np.uint8], interval: NDArray[np.float32], colours: Sequence[Sequence[int]]
) -> NDArray[np.uint8]:
    """Lay the intervals `[2, N, 2]` over the picture, faintly."""
    layer = canvas.copy()
    middle, reach = interval.mean(axis=0), (interval[1] - interval[0]) / 2
    for centre, radii, colour in zip(middle, reach, colours, strict=True):
        axes = (max(1, int(radii[0])), max(1, int(radii[1])))
        cv2.ellipse(layer, _pixel(centre), axes, 0, 0, 360, colour, 1, cv2.LINE_AA)
    return np.asarray(cv2.addWeighted(layer, 0.35, canvas, 0.65, 0), np.uint8)


def class_colours(count: int) -> NDArray[np.uint8]:
    """Return Pascal VOC's colours: the bits of the class, three by three, as the highest bits of r, g, b."""
    colours = np.zeros((count, 3), np.uint8)
    for index in range(count):
        for bit in range(8):
            for channel in range(3):
                colours[index, channel] |= ((index >> (3 * bit + channel)) & 1) << (7 - bit)
    return colours


def draw_classes(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], names: Sequence[str], shares: Mapping[str, float]
) -> NDArray[np.uint8]:
    """Colour the classes over an image, with a legend of those that are there to its right.

    image: uint8 `[H, W, 3]`. labels: uint8 `[H, W]`, indices into `names`; 0 is left as it is.
    shares: of the image, by name, in the order of the legend.
    """
    size = _drawn_size((image.shape[0], image.shape[1]))
    picture = np.asarray(_resized(image, size), np.float32)
    classes = cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST)
    colours = class_colours(len(names))
    over = (1 - _OPACITY) * picture + _OPACITY * colours[classes]
    drawn = np.where((classes > 0)[..., None], over, picture).round().astype(np.uint8)
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
