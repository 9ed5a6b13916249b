"""BADJA's joint annotations (Biggs et al., ACCV 2018) as annotated clips.

A sequence is a JSON list with one object for each annotated frame: `image_path`, `segmentation_path`,
`joints` (a list of [y, x] in pixels of the annotated image) and `visibility` (true or false, or 1 or 0, for
each joint). A joint at (0, 0) was not annotated. One that is marked as not visible, but has a position,
counts as hidden there: the position is the annotator's guess.
"""

import dataclasses
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from natsort import natsorted
from numpy.typing import NDArray

from model.clips.images import SUFFIXES, image_size, read_image
from model.clips.limits import Limits
from model.core.errors import BadInput
from model.evaluation.annotations import AnnotatedClip, resize_clip
from model.motion.grid import inside_frame, rescale_points

LARGEST_SHARE_OUTSIDE = 0.05
"""More visible joints outside the annotated image mean that its size is a wrong one."""

PCK_SIZE = (320, 512)
"""(height, width) of the frames in which PCK-T of joints is published (PIPs, Harley et al. 2022)."""

_LIMITS = Limits()

Size = tuple[int, int]


class BadjaSet(NamedTuple):
    """The sequences that could be opened, and the names of those without frames."""

    clips: list[AnnotatedClip]
    without_frames: list[str]


def read_badja(annotations: Path, frames_folder: Path, annotated_size: Size | None = None) -> BadjaSet:
    """Open BADJA sequences. The frames are found by file name (without its ending) and not read yet.

    annotations: one sequence's JSON file, or a folder of them.
    frames_folder: holds a folder named like each sequence's JSON file; or, for a single sequence, its frames.
        The frames may be smaller or larger than the annotated images.
    annotated_size: (height, width) of the images that the joints were marked in. By default that of the
        annotated image or else the segmentation, where there is one at its path, from the JSON file's folder
        or the one above.
    Raises BadInput when something is missing or damaged, or does not fit together. In a folder of sequences
    those without frames are left out and named, as long as one has frames.
    """
    if not frames_folder.is_dir():
        raise BadInput(f"There is no folder {frames_folder.name} with the frames.")
    if annotations.is_file():
        folder = frames_folder / annotations.stem
        place = folder if folder.is_dir() else frames_folder
        return BadjaSet([_open(annotations, place, annotated_size)], [])
    files = natsorted(annotations.glob("*.json"), key=lambda file: file.name)
    if not files:
        raise BadInput(f"There is no JSON file at {annotations.name}.")
    with_frames = [file for file in files if (frames_folder / file.stem).is_dir()]
    if not with_frames:
        raise BadInput(
            f"The folder {frames_folder.name} has no folder of frames for any of the sequences: "
            f"{', '.join(file.stem for file in files[:5])} and so on."
        )
    return BadjaSet(
        [_open(file, frames_folder / file.stem, annotated_size) for file in with_frames],
        [file.stem for file in files if file not in with_frames],
    )


def has_areas(clip: AnnotatedClip) -> bool:
    """Whether the object's area is known in any frame, as PCK-T needs it."""
    return clip.object_areas is not None and bool(np.isfinite(clip.object_areas).any())


def from_first_frame(clip: AnnotatedClip) -> AnnotatedClip:
    """Keep the joints that the first annotated frame shows, in frames of 512×320, as published PCK-T does."""
    chosen = clip.visible[0]
    resized = resize_clip(clip, PCK_SIZE)
    return dataclasses.replace(
        resized,
        points=resized.points[:, chosen],
        visible=clip.visible[:, chosen],
        annotated=clip.annotated[:, chosen],
    )


@dataclass(frozen=True, eq=False)
class _Annotation:
    """An annotated frame. joints: float64 `[N, 2]`, (x, y) in pixels of the image. visible: bool `[N]`."""

    image: str
    segmentation: str | None
    joints: NDArray[np.float64]
    visible: NDArray[np.bool_]


def _open(file: Path, folder: Path, annotated_size: Size | None) -> AnnotatedClip:
    sequence = _parse(file)
    frames = natsorted(
        (entry for entry in folder.iterdir() if entry.is_file() and entry.suffix.lower() in SUFFIXES),
        key=lambda entry: entry.name,
    )
    rows = _frame_rows(sequence, frames, file.name, folder.name)
    first, last = min(rows), max(rows)
    frames = frames[first : last + 1]
    size = _size_of(frames[0])
    source = annotated_size or _annotated_size(file, sequence)
    _check_size(file, sequence, source)

    shape = (len(frames), len(sequence[0].joints))
    points = np.full((*shape, 2), np.nan, np.float32)
    visible, annotated = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    areas = np.full(shape[0], np.nan)
    for row, annotation in zip(rows, sequence, strict=True):
        there = (annotation.joints != 0).any(axis=1)
        points[row - first, there] = rescale_points(annotation.joints[there], source, size)
        annotated[row - first] = there
        visible[row - first] = annotation.visible & there
        areas[row - first] = _object_area(file, annotation.segmentation, size)
    return AnnotatedClip(file.stem, partial(_read, frames), size, points, visible, annotated, areas)


def _read(frames: list[Path]) -> Iterator[NDArray[np.uint8]]:
    for path in frames:
        with path.open("rb") as file:
            yield read_image(file, _LIMITS, f"The image {path.name}")


def _parse(file: Path) -> list[_Annotation]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"The file {file.name} cannot be opened ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{file.name} is not a JSON file; fetch it again.") from error
    try:
        sequence = [_annotation(record) for record in content]
        if len({len(each.joints) for each in sequence}) > 1:
            raise ValueError("the frames have different numbers of joints")
    except (TypeError, ValueError, KeyError) as error:
        raise BadInput(
            f"{file.name} is not in BADJA's form: a list with, for each annotated frame, image_path, joints "
            "as [y, x] pairs, and as many values of visibility."
        ) from error
    if len(sequence) < 2 or not len(sequence[0].joints):
        raise BadInput(f"{file.name} should have joints in at least 2 annotated frames.")
    return sequence


def _annotation(record: Any) -> _Annotation:
    """Check one annotated frame; raises TypeError, ValueError or KeyError when it is none."""
    joints = np.array([(float(x), float(y)) for y, x in record["joints"]], np.float64).reshape(-1, 2)
    visible = np.array([bool(value) for value in record["visibility"]], np.bool_)
    segmentation = record.get("segmentation_path")
    if len(joints) != len(visible) or not np.isfinite(joints).all():
        raise ValueError("joints and visibility do not fit")
    return _Annotation(
        str(record["image_path"]), str(segmentation) if segmentation else None, joints, visible
    )


def _stem(path: str) -> str:
    """A file's name without folders (of either kind of separator) and ending."""
    return PurePosixPath(path.replace("\\", "/")).stem


def _frame_rows(sequence: list[_Annotation], frames: list[Path], file: str, folder: str) -> list[int]:
    """The place of each annotated image among the frames; each once, in order."""
    places = {frame.stem: place for place, frame in enumerate(frames)}
    stems = [_stem(annotation.image) for annotation in sequence]
    missing = [stem for stem in stems if stem not in places]
    if missing:
        raise BadInput(
            f"{file} names {len(missing)} images that are not in the folder {folder}, {missing[0]} for one."
        )
    rows = [places[stem] for stem in stems]
    if len(set(rows)) != len(rows):
        raise BadInput(f"{file} names an image twice.")
    return rows


def _size_of(path: Path) -> Size:
    with path.open("rb") as file:
        return image_size(file, _LIMITS, f"The image {path.name}")


def _find(file: Path, path: str | None) -> Path | None:
    """A file that the JSON file names, from its folder or the one above."""
    if path is None:
        return None
    places = (file.parent / path, file.parent.parent / path)
    return next((place for place in places if place.is_file()), None)


def _annotated_size(file: Path, sequence: list[_Annotation]) -> Size:
    for path in (*(each.image for each in sequence), *(each.segmentation for each in sequence)):
        found = _find(file, path)
        if found is not None:
            return _size_of(found)
    raise BadInput(
        f"{file.name} does not say how large its images are, and neither they nor the segmentations are at "
        "their paths; give the size with --annotated-size WIDTHxHEIGHT (DAVIS in full resolution: 1920x1080)."
    )


def _check_size(file: Path, sequence: list[_Annotation], source: Size) -> None:
    visible = np.concatenate([each.joints[each.visible] for each in sequence])
    outside = ~inside_frame(visible, source)
    if outside.size and outside.mean() > LARGEST_SHARE_OUTSIDE:
        raise BadInput(
            f"{outside.mean():.0%} of the visible joints of {file.name} lie outside an image of "
            f"{source[1]}×{source[0]}; give the size of the annotated images with --annotated-size "
            "WIDTHxHEIGHT."
        )


def _object_area(file: Path, segmentation: str | None, size: Size) -> float:
    """The segmented object's area in pixels of the frames; NaN without a segmentation."""
    found = _find(file, segmentation)
    if found is None:
        return math.nan
    with found.open("rb") as opened:
        mask = read_image(opened, _LIMITS, f"The segmentation {found.name}").any(axis=2)
    return float(mask.mean() * size[0] * size[1])
