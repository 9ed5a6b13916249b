"""Predictors and baselines on held-out samples of several sets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.core.errors import BadInput
from model.core.progress import UNWATCHED, Watch
from model.datasets.index import REFERENCE_HEIGHT
from model.evaluation.beliefs import Belief, BeliefMetrics, belief_metrics
from model.evaluation.prediction_metrics import Outcome, PointScores, PredictionMetrics, average_scores
from model.evaluation.predictors.baselines import CellPrior, Neighbours
from model.evaluation.predictors.samples import Domain, Judged, MeasuredPoints, spaced
from model.motion.prediction import INTERVAL, MOVES
from model.prediction.mixture import Mixture
from model.prediction.predictor import Predictor

BASELINES = ("zero", "cell mean", "nearest neighbour")
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Probabilities whose intervals the calibration plot checks."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """One method on one sample.

    scores, belief: of the measured points. errors: float64 `[N]`, final errors of the points, NaN if not
    measured.
    answer: float32 `[N, T, 2]`, pixels of the picture. within: bool `[P, 2, levels]`, whether the final
    coordinates lie in the intervals of `LEVELS`; None without uncertainty.
    """

    scores: PointScores
    belief: Belief
    errors: NDArray[np.float64]
    answer: NDArray[np.float32]
    within: NDArray[np.bool_] | None


@dataclass(frozen=True, eq=False)
class MethodOutcome:
    """One method on all samples of a domain.

    name: of the method; runs with other seeds have the same one. seed: tells them apart.
    metrics: of all points together. belief: of whether, which way and how likely. groups: by video.
    by_source: the mean over videos of each video's metrics, for the main figures.
    errors: float64 `[rows, columns]`, mean final error over the grid.
    calibration: observed shares for `LEVELS`, or None. judgements: one for each sample.
    """

    name: str
    seed: str
    metrics: PredictionMetrics
    belief: BeliefMetrics
    groups: Mapping[str, PredictionMetrics]
    by_source: Mapping[str, float]
    errors: NDArray[np.float64]
    calibration: tuple[float, ...] | None
    judgements: tuple[Judgement, ...] = field(repr=False)


@dataclass(frozen=True, eq=False)
class DomainResult:
    """All methods on a domain. samples: that were measured, in the order of the judgements."""

    name: str
    split: str
    samples: tuple[Judged, ...]
    methods: tuple[MethodOutcome, ...]


def evaluate_predictors(
    folders: Sequence[str],
    predictors: Mapping[tuple[str, str], Predictor],
    *,
    split: str = "test",
    points: MeasuredPoints = "visible",
    most: int | None = None,
    neighbours: int = 500,
    watch: Watch = UNWATCHED,
) -> list[DomainResult]:
    """Measure predictors beside the baselines.

    folders: of training sets; each is a domain. predictors: by name and seed. split, points: what is
    measured. most: samples of a domain, evenly chosen; None: all. neighbours: known samples to search; 0: no
    such baseline. Baselines learn from the training samples of all sets together, as the predictors do.
    Raises BadInput when sets or predictors do not fit together, Stopped on request.
    """
    if not predictors:
        raise BadInput("Name at least one predictor's weights with --weights.")
    horizons = {predictor.network.config.horizon for predictor in predictors.values()}
    if len(horizons) > 1:
        raise BadInput(f"All predictors must have one horizon, but they have {sorted(horizons)} frames.")
    steps = horizons.pop() - 1
    kinds = {predictor.network.config.scene_motion for predictor in predictors.values()}
    if len(kinds) > 1:
        raise BadInput("All predictors must predict the same, motion as filmed or scene motion.")
    scene_motion = kinds.pop()
    domains = [
        Domain.open(folder, split, steps, scene_motion=scene_motion, points=points) for folder in folders
    ]
    grid = domains[0].judged[0].facts.grid
    known = [domain.known for domain in domains if domain.known is not None]
    prior = CellPrior.of(known, steps, grid, points, watch)
    lookup = None
    if neighbours and known:
        first = next(iter(predictors.values()))
        everything = [(part, number) for part in known for number in range(len(part))]
        some = [everything[number] for number in spaced(len(everything), neighbours)]
        lookup = Neighbours.of(first.network, first.use, some, steps, grid, watch)
    return [_evaluate_domain(domain, split, predictors, prior, lookup, most, watch) for domain in domains]


def _evaluate_domain(
    domain: Domain,
    split: str,
    predictors: Mapping[tuple[str, str], Predictor],
    prior: CellPrior,
    lookup: Neighbours | None,
    most: int | None,
    watch: Watch,
) -> DomainResult:
    numbers = spaced(len(domain.judged), most)
    methods = [("zero", ""), ("cell mean", "")]
    methods += [("nearest neighbour", "")] if lookup is not None else []
    judged: list[Judged] = []
    results: dict[tuple[str, str], list[Judgement]] = {name: [] for name in (*methods, *predictors)}
    for number in watch.each(f"evaluating {domain.name}", numbers):
        sample = domain.judged_at(number)
        judged.append(sample)
        still = np.zeros_like(sample.truth)
        results["zero", ""].append(_plain(sample, still, prior.of_any(sample)))
        results["cell mean", ""].append(_plain(sample, prior.means.answer(sample), prior.of_place(sample)))
        if lookup is not None:
            answer = lookup.answer(sample)
            results["nearest neighbour", ""].append(_plain(sample, answer, _as_belief(sample, answer)))
        for name, predictor in predictors.items():
            results[name].append(_predicted(sample, predictor))
    if not any(sample.chosen.any() for sample in judged):
        raise BadInput(
            f"{domain.name} leaves nothing to measure: no point is {domain.points} at the horizon."
        )
    return DomainResult(
        domain.name,
        split,
        tuple(judged),
        tuple(_summed_up(name, judged, judgements) for name, judgements in results.items()),
    )


def _as_belief(sample: Judged, answer: NDArray[np.float32]) -> Belief:
    """Take an answer without uncertainty, `[N, T, 2]` in pixels of the picture, for a belief."""
    final = answer[sample.chosen, -1].astype(np.float64) / sample.unit
    length = np.linalg.norm(final, axis=1)
    return Belief(sample.final, length, final / np.maximum(length, 1e-9)[:, None])


def _plain(sample: Judged, answer: NDArray[np.float32], belief: Belief) -> Judgement:
    """Judge an answer without uncertainty, `[N, T, 2]` in pixels of the picture."""
    chosen = sample.chosen
    outcome = Outcome.of_answer(sample.truth[chosen] / sample.unit, answer[chosen] / sample.unit)
    return Judgement(PointScores.of(outcome), belief, _errors(sample, answer), answer, None)


def _predicted(sample: Judged, predictor: Predictor) -> Judgement:
    expected = predictor.expect(sample.picture, sample.queries)
    mixture, working = expected.mixture, expected.working

    def paths(values: Tensor) -> NDArray[np.float32]:
        return in_picture(values, sample, working)

    answer = paths(mixture.answer()[0])
    low, high = (mixture.quantile((1 + sign * INTERVAL) / 2)[0] for sign in (-1, 1))
    chosen, unit = sample.chosen, sample.unit
    outcome = Outcome(
        sample.truth[chosen] / unit,
        answer[chosen] / unit,
        paths(mixture.displacement[0])[chosen] / unit,
        mixture.weight[0].cpu().numpy()[chosen],
        np.stack([paths(low), paths(high)])[:, chosen] / unit,
    )
    truth = torch.from_numpy(sample.truth[:, -1]) / _scale(sample, working)
    frames = mixture.displacement.shape[3]
    below = mixture.cumulative(truth.to(mixture.displacement)[None, :, None].expand(-1, -1, frames, -1))
    rank = below[0, :, -1].cpu().numpy()[chosen]
    within = np.stack([np.abs(rank - 0.5) <= level / 2 for level in LEVELS], axis=2)
    belief = _belief(sample, mixture, working)
    return Judgement(PointScores.of(outcome), belief, _errors(sample, answer), answer, within)


def _belief(sample: Judged, mixture: Mixture, working: tuple[int, int]) -> Belief:
    unit = working[0] / REFERENCE_HEIGHT  # pixels of the working image for one of a 256-high one
    truth = (torch.from_numpy(sample.truth[:, -1:]) / _scale(sample, working)).to(mixture.displacement)
    last = Mixture(mixture.displacement[..., -1:, :], mixture.log_scale[..., -1:], mixture.log_weight)
    log_density = last.log_likelihood(truth[None], torch.ones_like(truth[None, ..., 0]))[0]
    values = (mixture.moving(MOVES * unit)[0], mixture.direction()[0], log_density)
    chosen = (each.cpu().double().numpy()[sample.chosen] for each in values)
    moving, direction, density = chosen
    return Belief(sample.final, moving, direction, density + 2 * np.log(unit))


def in_picture(values: Tensor, sample: Judged, working: tuple[int, int]) -> NDArray[np.float32]:
    """Bring displacements `[..., T or 1, 2]` in the working image to `[..., T, 2]` in the sample's picture.

    The end alone is reached at a steady pace. working: (height, width) of the working image.
    """
    steps = sample.truth.shape[1]
    moved = values.cpu() * _scale(sample, working)
    if moved.shape[-2] == 1 < steps:
        moved = moved * (torch.arange(1, steps + 1) / steps)[:, None]
    return np.asarray(moved.numpy(), np.float32)


def _scale(sample: Judged, working: tuple[int, int]) -> Tensor:
    height, width = sample.picture.shape[:2]
    return torch.tensor([width / working[1], height / working[0]])


def _errors(sample: Judged, answer: NDArray[np.float32]) -> NDArray[np.float64]:
    distance = np.linalg.norm(answer[:, -1].astype(np.float64) - sample.truth[:, -1], axis=1) / sample.unit
    return np.where(sample.chosen, distance, np.nan)


def _summed_up(name: tuple[str, str], judged: list[Judged], judgements: list[Judgement]) -> MethodOutcome:
    def of(keys: list[str]) -> dict[str, PredictionMetrics]:
        return {
            key: average_scores(
                PointScores.together(
                    [each.scores for each, own in zip(judgements, keys, strict=True) if own == key]
                )
            )
            for key in sorted(set(keys))
        }

    sources = of([sample.source for sample in judged])
    seen = [each for each in sources.values() if each.points]
    averaged = {metric: float(np.mean([getattr(each, metric) for each in seen])) for metric in ("ade", "epe")}
    grid = judged[0].grid
    errors = np.stack([each.errors for each in judgements if len(each.errors) == grid**2])
    counts = np.isfinite(errors).sum(axis=0)
    mean = np.where(counts > 0, np.nansum(errors, axis=0) / np.maximum(counts, 1), np.nan)
    inside = [each.within for each in judgements if each.within is not None and len(each.within)]
    calibration = tuple(np.concatenate(inside).mean(axis=(0, 1)).tolist()) if inside else None
    return MethodOutcome(
        *name,
        average_scores(PointScores.together([each.scores for each in judgements])),
        belief_metrics([each.belief for each in judgements]),
        sources,
        averaged,
        mean.reshape(grid, grid),
        calibration,
        tuple(judgements),
    )
