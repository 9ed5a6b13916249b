"""`Predictor`: an image in, the expected motion of a grid of points out, with how sure it is."""

import math
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from model.clips.limits import Limits
from model.clips.video import read_frame
from model.core.devices import find_device
from model.core.errors import BadInput
from model.core.parallel import map_pieces
from model.motion.grid import query_grid, rescale_points
from model.motion.prediction import INTERVAL, MOVES, Prediction
from model.motion.tracks import Method, Tracks
from model.prediction.mixture import Mixture
from model.prediction.network import MotionPredictor, normalise
from model.prediction.outputs import DIRECTIONS
from model.prediction.release import (
    PredictorRelease,
    PredictorUse,
    predictor_file,
    read_usable_release,
)
from model.weights.checkpoints import as_float32, load_strictly, read_state_dict
from model.weights.registry import file_sha256

_MOST_HYPOTHESES = 16
"""So many are told one by one, more by direction."""
_BLANK = 3.0
"""Of 255: the standard deviation of each colour in an image that shows nothing."""


@dataclass(frozen=True, eq=False)
class Expectation:
    """What a network expects of points of one image.

    mixture: of the points, in pixels of the working image; calibrated.
    working: (height, width) of the working image.
    is_blank: whether the image is all one colour, nearly: then there is nothing that could move.
    """

    mixture: Mixture
    working: tuple[int, int]
    is_blank: bool


@dataclass(frozen=True, eq=False)
class Predictor:
    """Predicts motion from single images.

    network: on its device, for inference. use: see `PredictorUse`. method: what the tracks say of it.
    """

    network: MotionPredictor
    use: PredictorUse
    method: Method

    @classmethod
    def load(cls, name_or_path: str | os.PathLike[str] = "predictor", device: str = "auto") -> "Predictor":
        """Make trained weights ready to predict.

        name_or_path: "predictor" (the installed ones), a registered name, or a file of `train-predictor`.
        device: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:K".
        Raises BadInput for missing or unfitting weights, or a device that is not there.
        """
        place = find_device(device)
        path = predictor_file(name_or_path)
        release = read_usable_release(path)
        network = MotionPredictor(release.config)
        load_strictly(network, as_float32(read_state_dict(path)), f"{path.name} does not fit this network")
        return cls.of(network, release, place, file_sha256(path))

    @classmethod
    def of(
        cls,
        network: MotionPredictor,
        release: PredictorRelease,
        device: torch.device | None = None,
        sha256: str | None = None,
    ) -> "Predictor":
        """Use a network that is in memory."""
        settings: dict[str, Any] = {**release.config.to_json(), **vars(release.use)}
        if release.config.scene_motion:
            settings["camera"] = "removed"  # see `Tracks.is_scene_motion`
        ready = network.requires_grad_(False).eval()
        return cls(
            ready if device is None else ready.to(device), release.use, Method("fcn", sha256, settings)
        )

    def predict(self, image: NDArray[np.uint8], grid: int | None = None) -> Tracks:
        """Say where a grid of points will go.

        image: uint8 `[H, W, 3]` RGB, of any size. grid: points a side; None: as in training.
        Returns Tracks in pixels of the image with T = 2, or T = horizon for a trajectory predictor.
        Raises BadInput for an array of another kind or a grid out of range.
        """
        return self.predict_all(image, grid).tracks

    def predict_all(
        self, image: NDArray[np.uint8], grid: int | None = None, *, frame: int = 0, fps: float = 0.0
    ) -> Prediction:
        """Say where a grid of points will go, in all that is expected; see `predict`.

        frame, fps: where the image stands in a clip, for the tracks' `frames` and `fps`; without a frame
        rate, those of a still are as far apart as in the training.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise BadInput(
                f"An image must be uint8 [height, width, 3], not {image.dtype} {list(image.shape)}."
            )
        size = (image.shape[0], image.shape[1])
        side = self.network.config.grid if grid is None else grid
        queries = query_grid(side, size)
        expected = self.expect(image, queries)

        def as_prediction(expected: Expectation) -> Prediction:
            return self._as_prediction(expected, queries, size, side, frame, fps)

        # Hundreds of small operations: on several threads they would mostly wait for each other.
        return map_pieces(as_prediction, [expected], expected.mixture.displacement.device)[0]

    @torch.inference_mode()
    def expect(self, image: NDArray[np.uint8], queries: NDArray[np.float32]) -> Expectation:
        """Say what the network expects of query points `[N, 2]` of an image.

        On a CPU the image and its mirror image are looked at beside each other, each on one thread.
        """
        size = (image.shape[0], image.shape[1])
        working = self.use.working_size(size)
        mixture = self._of_image(image, queries, working)
        is_blank = bool(image.std(axis=(0, 1)).max() < _BLANK)
        return Expectation(_stays(mixture) if is_blank else mixture, working, is_blank)

    def _of_image(
        self, image: NDArray[np.uint8], queries: NDArray[np.float32], working: tuple[int, int]
    ) -> Mixture:
        size = (image.shape[0], image.shape[1])
        device = next(self.network.parameters()).device
        pixels = torch.tensor(image).permute(2, 0, 1)[None].to(device)
        reduced = resized(pixels, working)
        points = torch.from_numpy(rescale_points(queries, size, working))[None].to(device)
        looks = [(reduced, points)]
        if self.use.mirror:
            looks.append((reduced.flip(3), _mirrored(points, working[1])))
        answers = map_pieces(lambda look: self._mixture(*look, working), looks, device)
        answer = answers[0].mixed(answers[1].mirrored(), 0.5) if self.use.mirror else answers[0]
        return answer.widened(self.use.scale_factor)

    def _mixture(self, images: Tensor, points: Tensor, size: tuple[int, int]) -> Mixture:
        network = self.network
        answer = network.answer(network.features(normalise(images)), points, size)
        is_as_learned = self.use.temperature == 1 and self.use.moving_bias == 0
        return answer if is_as_learned else answer.tempered(self.use.temperature, self.use.moving_bias)

    def _as_prediction(
        self,
        expected: Expectation,
        queries: NDArray[np.float32],
        size: tuple[int, int],
        grid: int,
        frame: int,
        fps: float,
    ) -> Prediction:
        """From displacements in the working image to positions in the original one."""
        mixture, working = expected.mixture, expected.working
        scale = np.array([size[1] / working[1], size[0] / working[0]], np.float32)

        def positions(paths: Tensor) -> NDArray[np.float32]:
            """`[..., N, T, 2]`, displacements, to `[..., T + 1, N, 2]`, positions."""
            moved = F.pad(paths.float(), (0, 0, 1, 0)).transpose(-3, -2).cpu().numpy()
            return np.asarray(queries + moved * scale, np.float32)

        is_many = mixture.log_weight.shape[2] > _MOST_HYPOTHESES
        told = mixture.by_direction(DIRECTIONS) if is_many else mixture
        order = told.log_weight[0].argsort(dim=1, descending=True)  # [N, K]
        steps = told.displacement.shape[3]
        chosen = told.displacement[0].gather(1, order[..., None, None].expand(-1, -1, steps, 2))
        weights = told.weight[0].gather(1, order).T.cpu().numpy()
        points = positions(mixture.answer()[0])
        low, high = (mixture.quantile(share)[0] for share in ((1 - INTERVAL) / 2, (1 + INTERVAL) / 2))
        hypotheses = positions(chosen.transpose(0, 1))
        inside = (
            (hypotheses >= -0.5) & (hypotheses <= np.array([size[1] - 0.5, size[0] - 0.5], np.float32))
        ).all(axis=3)
        visibility = (inside * weights[:, None]).sum(axis=0).clip(0, 1).astype(np.float32)
        config = self.network.config
        still_fps = 0.0 if config.interval is None else 1 / config.interval
        tracks = Tracks(
            points=points,
            visibility=visibility,
            frames=(frame + np.concatenate([[0], config.later_frames(fps)])).astype(np.int32),
            size=size,
            fps=fps or still_fps,
            grid=(grid, grid),
            method=self.method,
        )
        return Prediction(
            tracks,
            hypotheses,
            weights,
            np.stack([positions(low), positions(high)]),
            mixture.moving(MOVES * working[0] / 256)[0].cpu().numpy().clip(0, 1).astype(np.float32),
            expected.is_blank,
        )


def _stays(mixture: Mixture) -> Mixture:
    """Return for the same points the one hypothesis that they stay."""
    only = Mixture(*(part[:, :, :1] for part in mixture))
    return Mixture(
        torch.zeros_like(only.displacement),
        torch.full_like(only.log_scale, math.log(0.1)),
        torch.zeros_like(only.log_weight),
    )


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring uint8 images `[B, 3, H, W]` to a size, smoothed where they get smaller: float32 in [0, 1]."""
    values = images.float() / 255
    if tuple(images.shape[-2:]) == size:
        return values
    return F.interpolate(values, size, mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)


def _mirrored(points: Tensor, width: int) -> Tensor:
    return points * points.new_tensor([-1.0, 1.0]) + points.new_tensor([width - 1.0, 0.0])


def open_image(path: str | os.PathLike[str], limits: Limits | None = None) -> NDArray[np.uint8]:
    """Read an image file, or the first frame of a clip; see `model.clips.video.read_frame`.

    Returns uint8 `[H, W, 3]` RGB. Raises BadInput when there is no such file or it cannot be read.
    """
    return read_frame(path, 0, limits or Limits())


def predict_file(
    path: str | os.PathLike[str],
    predictor: Predictor,
    grid: int | None = None,
    limits: Limits | None = None,
) -> tuple[Prediction, NDArray[np.uint8]]:
    """Predict the motion in an image file; see `open_image` and `Predictor.predict_all`.

    Returns the prediction and the image, uint8 `[H, W, 3]`.
    """
    image = open_image(path, limits)
    return predictor.predict_all(image, grid), image
