"""The camera's motion, found from the tracks alone, so that it can be taken out.

Most points of a scene stand still, and a camera that turns or zooms moves them all by one homography; one
that travels does so nearly, as long as the scene is far or flat. What is left when it is taken out is scene
motion.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from model.motion.grid import inside_frame

LEAST_SHARE = 1 / 3
"""Fewer points than this that follow one homography are no evidence of a camera."""

TOLERANCE = 1.5
"""Pixels of a 256-high image: a point counts as still when the homography puts it so near to where it is."""

LEAST_TRACKS = 64
"""A third of fewer follow one homography by chance: any four do."""

_LEAST_POINTS = 8
_MOST_SAMPLED = 600
_STIFFNESS = 1e-3


class Camera(NamedTuple):
    """Where still things go, from the first frame to each.

    homographies: float32 `[T, 3, 3]`, of pixels (x, y, 1) of the first frame to those of each; the last entry
        of each is 1, the first is the identity. NaN in frames in which none was found.
    share: float32 `[T]`, the share of the visible points that follow it, 0 to 1; those near the border, which
        objects seldom reach, count up to five times. 0 where none was found.
    """

    homographies: NDArray[np.float32]
    share: NDArray[np.float32]

    @property
    def is_found(self) -> NDArray[np.bool_]:
        """Bool `[T]`: the frames whose camera is known."""
        return self.share > 0

    def reordered(self, order: NDArray[np.intp]) -> "Camera | None":
        """Return the frames in another order, as homographies from the one that is then the first.

        None where that one's camera is not known.
        """
        homographies, share = self.homographies[order].astype(np.float64), self.share[order]
        if share[0] == 0:
            return None
        homographies = homographies @ np.linalg.inv(homographies[0])
        return Camera((homographies / homographies[:, 2:, 2:]).astype(np.float32), share)

    def remove(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        """Map positions in each frame to the scene: s_t = H_t^-1(p_t).

        points: `[T, N, 2]`, pixels of each frame. Returns float32 `[T, N, 2]`, pixels of the first frame; NaN
        in frames whose camera is not known.
        """
        scene = np.full(points.shape, np.nan, np.float32)
        for frame in np.flatnonzero(self.is_found):
            inverse = np.linalg.inv(self.homographies[frame].astype(np.float64))
            scene[frame] = transform(inverse, points[frame])
        return scene


def transform(homography: NDArray[np.floating], points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Apply a homography `[3, 3]` to points `[N, 2]`: float64 `[N, 2]`."""
    mapped = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ homography.T.astype(np.float64)
    moved: NDArray[np.float64] = mapped[:, :2] / mapped[:, 2:]
    return moved


def find_camera(
    points: NDArray[np.float32], visible: NDArray[np.bool_], size: tuple[int, int]
) -> Camera | None:
    """Find the camera's motion from tracks, best of a grid over the whole frame.

    points: float32 `[T, N, 2]`, pixels. visible: bool `[T, N]`. size: (height, width) of the frames.
    Each frame's homography is found by MAGSAC; the points that follow it in most of the frames in which they
    are seen are the still ones, to which all homographies are fitted once more. Deterministic.
    Returns None where no camera was found in more than half of the frames, or for fewer than 64 points.
    """
    if points.shape[1] < LEAST_TRACKS:
        return None
    seen = visible & visible[0] & inside_frame(points, size)
    near = TOLERANCE * size[0] / 256
    weight = _border_weight(points[0], size)
    follows = np.zeros(seen.shape, bool)
    for frame in range(1, len(points)):
        guess = _sampled_homography(points[0], points[frame], seen[frame], weight, near)
        if guess is not None:
            follows[frame] = seen[frame] & (_distance(guess, points[0], points[frame]) < near)
    is_still = 2 * follows.sum(axis=0) > seen[1:].sum(axis=0)

    homographies = np.full((len(points), 3, 3), np.nan, np.float32)
    homographies[0] = np.eye(3)
    share = np.zeros(len(points), np.float32)
    share[0] = 1.0
    for frame in range(1, len(points)):
        chosen = seen[frame] & is_still
        if chosen.sum() < _LEAST_POINTS:
            continue
        fitted = _fit(points[0][chosen], points[frame][chosen], size, near)
        is_near = _distance(fitted, points[0], points[frame]) < near
        found = float(weight[seen[frame] & is_near].sum() / weight[seen[frame]].sum())
        if found >= LEAST_SHARE:
            homographies[frame], share[frame] = fitted, found
    return Camera(homographies, share) if 2 * (share[1:] > 0).sum() > len(points) - 1 else None


def _border_weight(points: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.int64]:
    """1 in the middle of the frame to 5 at its border: 1 + 4 r^3, r the distance in halves of the frame."""
    middle = (np.array(size[::-1], np.float64) - 1) / 2
    r = (np.abs(points - middle) / middle.clip(1)).max(axis=1).clip(0, 1)
    weight: NDArray[np.int64] = 1 + np.rint(4 * r**3).astype(np.int64)
    return weight


def _sampled_homography(
    first: NDArray[np.float32],
    then: NDArray[np.float32],
    seen: NDArray[np.bool_],
    weight: NDArray[np.int64],
    near: float,
) -> NDArray[np.float64] | None:
    """Find the homography that most weight follows, by sampling."""
    chosen = np.flatnonzero(seen)
    if len(chosen) < _LEAST_POINTS:
        return None
    chosen = chosen[:: -(-len(chosen) // _MOST_SAMPLED)]
    repeated = np.repeat(chosen, weight[chosen])
    found, _ = cv2.findHomography(
        first[repeated].astype(np.float64),
        then[repeated].astype(np.float64),
        cv2.USAC_MAGSAC,
        near,
        maxIters=2000,
    )
    return None if found is None else np.asarray(found, np.float64)


def _fit(
    first: NDArray[np.float32], then: NDArray[np.float32], size: tuple[int, int], near: float, rounds: int = 4
) -> NDArray[np.float64]:
    """Fit a homography to all given points: least squares, those that are far off counting less.

    Its two perspective terms are held back a little: where still points are seen in a part of the frame only,
    they would be free to throw the rest anywhere.
    """
    to_unit = np.array([[2 / size[1], 0, -1], [0, 2 / size[0], -1], [0, 0, 1]], np.float64)
    (x, y), (u, v) = transform(to_unit, first).T, transform(to_unit, then).T
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows = np.concatenate(
        [
            np.stack([x, y, one, zero, zero, zero, -u * x, -u * y], axis=1),
            np.stack([zero, zero, zero, x, y, one, -v * x, -v * y], axis=1),
        ]
    )
    wanted = np.concatenate([u, v])
    stiff = np.diag([0, 0, 0, 0, 0, 0, 1, 1]) * _STIFFNESS * len(x)
    trust = np.ones(len(x))
    for _ in range(rounds):
        weighed = rows * np.tile(trust, 2)[:, None]
        solved = np.linalg.lstsq(weighed.T @ rows + stiff, weighed.T @ wanted, rcond=None)[0]
        homography: NDArray[np.float64] = (
            np.linalg.inv(to_unit) @ np.append(solved, 1).reshape(3, 3) @ to_unit
        )
        homography /= homography[2, 2]
        trust = 1 / (1 + (_distance(homography, first, then) / (near / 2)) ** 2)
    return homography


def _distance(
    homography: NDArray[np.float64], first: NDArray[np.float32], then: NDArray[np.float32]
) -> NDArray[np.float64]:
    """How far the homography puts points of the first frame from where they are: pixels, `[N]`."""
    away: NDArray[np.float64] = np.linalg.norm(transform(homography, first) - then, axis=1)
    return away
