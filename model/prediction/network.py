"""The predictor network: one image in, the motion of its points out."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.motion.grid import query_grid
from model.prediction.backbones import Backbone, build_segmentation, find_backbone
from model.prediction.config import PredictorConfig
from model.prediction.heads import HeadParts, find_head
from model.prediction.mixture import Mixture

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalise(images: Tensor) -> Tensor:
    """Bring images to the range that the backbones were trained with; nothing else does.

    images: uint8 0 to 255 or float in [0, 1], `[..., 3, H, W]`, RGB. Returns float32 of the same shape.
    """
    values = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    mean, std = (values.new_tensor(each)[:, None, None] for each in (IMAGENET_MEAN, IMAGENET_STD))
    return (values - mean) / std


class MotionPredictor(nn.Module):
    """A backbone and a head.

    output: how the head's numbers are read; its parameter is one of the network's.
    """

    def __init__(self, config: PredictorConfig) -> None:
        super().__init__()
        self.config = config
        kind = find_head(config.head)
        spec = find_backbone(config.backbone)
        segmentation = build_segmentation(config.backbone, config.strides)
        classifier = segmentation.get_submodule("classifier")
        self.output = kind.output(config.steps)
        self.backbone = Backbone(segmentation.get_submodule("backbone"), spec.levels)
        self.head = kind.build(HeadParts(config, spec.levels, classifier, self.output.numbers))
        self.register_parameter(self.output.parameter, nn.Parameter(self.output.initial()))

    @property
    def hypotheses(self) -> int:
        """K, the number of answers for each point."""
        return self.output.hypotheses

    def is_published(self, name: str) -> bool:
        """Whether a parameter is of the backbone, or of those parts of the head that learn as it does."""
        return name.startswith(("backbone.", *(f"head.{part}." for part in self.head.published)))

    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        """Map normalised images `[B, 3, H, W]` to what `answer` reads.

        With the backbone frozen this can be kept.
        """
        return self.head.prepare(self.backbone(images))

    def answer(self, features: Sequence[Tensor], points: Tensor, size: tuple[int, int]) -> Mixture:
        """Say how points move, in pixels of the images.

        features: from `features`. points: float32 `[B, P, 2]`, (x, y) in pixels of the images.
        size: (height, width) of the images.
        """
        shares = (points + 0.5) / points.new_tensor([size[1], size[0]])
        raw = self.head(features, shares).float()
        return self.output.read(raw, self.get_parameter(self.output.parameter))

    def forward(self, images: Tensor, points: Tensor | None = None) -> Tensor:
        """Predict displacements.

        images: float32 `[B, 3, H, W]`, normalised (see `normalise`), H and W at least 32.
        points: float32 `[B, P, 2]`, (x, y) in pixels of the images; None: the config's grid.
        Returns float32 `[B, P, 2]`, from the first frame to the last of the horizon in pixels of the images;
        for a trajectory predictor `[B, P, T, 2]` with T = horizon, of which the first is zero.
        """
        height, width = images.shape[-2:]
        if points is None:
            grid = torch.from_numpy(query_grid(self.config.grid, (height, width)))
            points = grid.to(images.device).expand(len(images), -1, -1)
        path = self.answer(self.features(images), points, (height, width)).answer()
        return F.pad(path, (0, 0, 1, 0)) if self.config.trajectory else path[:, :, 0]


def build_predictor(
    backbone: str = "fcn_resnet50",
    head: str = "bins",
    grid: int = 16,
    horizon: int = 8,
    **options: Any,
) -> MotionPredictor:
    """Build a predictor with random weights; nothing is downloaded.

    backbone, head, grid, horizon, options: see `PredictorConfig`.
    Raises BadInput for what `PredictorConfig` refuses.
    """
    return MotionPredictor(PredictorConfig(backbone, head, grid, horizon, **options))
