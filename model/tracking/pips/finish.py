"""From the network's answer for a chunk to positions and visibility: refined, and completed where hidden."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.tracking.pips.evidence import companions_evidence
from model.tracking.pips.refinement import RefinementSettings, refine, visibility_evidence
from model.tracking.pips.support import SEEN, Companions, SupportSettings, complete, expect, is_doubtful
from model.tracking.pips.visibility import VisibilityNetwork


@dataclass(frozen=True)
class Finishing:
    """What is made of the network's answer.

    refinement: to sub-pixel positions. support: for hidden points. visibility: weighs what both tell of
    whether a point is visible; without it, what refinement says counts. None leaves a part out.
    """

    refinement: RefinementSettings | None = None
    support: SupportSettings | None = None
    visibility: VisibilityNetwork | None = None


UNTOUCHED = Finishing()


@dataclass(frozen=True, eq=False)
class ChunkAnswer:
    """What the network says of a chunk's points; those beyond the first `count` are support points.

    queries: float32 `[P, 2]`, in pixels of the frames. points: float32 `[S, P, 2]`.
    logits: float64 `[S, P]`, above 0 for visible. images: grey, uint8 `[H, W]`, one for each frame; empty
    where nothing is refined. size: (height, width) of the frames.
    """

    queries: NDArray[np.float32]
    points: NDArray[np.float32]
    logits: NDArray[np.float64]
    images: list[NDArray[np.uint8]]
    size: tuple[int, int]
    count: int


def finish(answer: ChunkAnswer, finishing: Finishing) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the queries' positions and how likely they are visible: float32 `[S, count, 2]`, `[S, count]`.

    All points are refined; then those that are hidden or doubtful are put where their companions go.
    """
    refinement, support = finishing.refinement, finishing.support
    size, points, logits = answer.size, answer.points, answer.logits
    correlation, evidence = np.ones(logits.shape, np.float32), None
    if refinement is not None:
        refined = refine(answer.images, answer.queries, points, logits < 0, refinement)
        points, correlation = refined
        evidence = visibility_evidence(answer.logits, refined, size)
        if refinement.visibility is not None:
            logits = evidence @ np.asarray(refinement.visibility)
    visible = probabilities(logits)
    mine, rest = slice(answer.count), slice(answer.count, None)
    if support is None or answer.count == len(answer.queries):
        return points[:, mine], visible[:, mine]
    found, seen = points[:, mine], visible[:, mine]
    companions = Companions.of(found, seen, points[:, rest], visible[:, rest], size, support)
    expected = expect(found, companions, size, support)
    if finishing.visibility is not None and evidence is not None:
        more = companions_evidence(evidence[:, mine], found, correlation[:, mine], companions, expected, size)
        seen = probabilities(finishing.visibility.logits(more))
    is_unsure = (seen <= SEEN) | is_doubtful(found, correlation[:, mine], expected, size, support)
    return complete(found, is_unsure, expected), seen


def probabilities(logits: NDArray[np.float64] | Tensor) -> NDArray[np.float32]:
    """Return the sigmoid of logits as float32.

    It is taken in float64: torch's float32 sigmoid rounds the last few elements of an array differently, so
    that a point's bits would depend on how many points there are.
    """
    result: NDArray[np.float32] = torch.sigmoid(torch.as_tensor(logits).double()).float().cpu().numpy()
    return result
