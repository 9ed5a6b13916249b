"""How far a trained predictor is to be believed, fitted on samples that it never learned from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.core.errors import BadInput
from model.core.progress import Progress, ReportProgress, ShouldStop, raise_if_stopped
from model.evaluation.predictors.run import in_picture
from model.evaluation.predictors.samples import Domain, Judged, spaced
from model.prediction.predictor import Predictor
from model.prediction.release import PredictorRelease, PredictorUse, read_release
from model.weights.checkpoints import check_name, read_state_dict, write_state_dict

STAY_PRIORS = tuple(step / 20 for step in range(11))
"""The values of `PredictorUse.stay_prior` that are tried; from a half on nothing moves."""
ABSTAIN_THRESHOLDS = tuple(step / 20 for step in range(16))
"""The values of `PredictorUse.abstain_below` that are tried with each of them."""


@dataclass(frozen=True)
class Calibration:
    """What was fitted, and why.

    use: the use that was written. errors: float64 `[sets, STAY_PRIORS, ABSTAIN_THRESHOLDS]`, the ADE in each
    set with each pair of values, as a share of the ADE of no motion at all.
    """

    use: PredictorUse
    errors: NDArray[np.float64]


def calibrate_predictor(
    weights: Path,
    out: Path,
    folders: Sequence[str],
    *,
    splits: Sequence[str],
    most: int | None = None,
    mirror: bool = False,
    device: str = "auto",
    progress: ReportProgress,
    should_stop: ShouldStop,
) -> Calibration:
    """Choose stay_prior and abstain_below with the least error over sets, and write the weights with them.

    weights: as `train-predictor` writes them. out: a .safetensors file; the tensors keep their bits.
    folders: of sets, each of which counts the same. splits: for each set, or one for all, the part that the
    network has not seen. most: samples of a set, evenly chosen; None: all.
    mirror: whether the weights are to look at the mirrored image, too.
    Raises BadInput when a file or set does not fit or nothing moves in a set, Stopped on request.
    """
    check_name(out)
    if not folders:
        raise BadInput("Name at least one training set with --data; both are fitted on its samples.")
    if len(splits) not in (1, len(folders)):
        raise BadInput(f"Name one split, or one for each of the {len(folders)} sets, not {len(splits)}.")
    release = read_release(weights)
    use = replace(release.use, mirror=mirror, stay_prior=0.0, abstain_below=0.0)
    predictor = replace(Predictor.load(weights, device), use=use)
    chosen = list(splits) * len(folders) if len(splits) == 1 else splits
    domains = [
        Domain.open(folder, split, release.config.horizon - 1, release.config.scene_motion)
        for folder, split in zip(folders, chosen, strict=True)
    ]
    errors = np.stack(
        [_relative_errors(predictor, domain, most, progress, should_stop) for domain in domains]
    )
    stay_prior, abstain_below = least_error(errors)
    fitted = replace(use, stay_prior=stay_prior, abstain_below=abstain_below)
    write_use(weights, out, fitted)
    return Calibration(fitted, errors)


def least_error(errors: NDArray[np.float64]) -> tuple[float, float]:
    """Choose stay_prior and abstain_below by the sum of the sets' errors; see `Calibration.errors`.

    Of pairs that do equally well it is the one with the largest abstain_below, then the largest stay_prior.
    """
    total = errors.sum(axis=0)
    return max(
        (
            (prior, threshold)
            for row, prior in zip(total, STAY_PRIORS, strict=True)
            for error, threshold in zip(row, ABSTAIN_THRESHOLDS, strict=True)
            if error == total.min()
        ),
        key=lambda pair: (pair[1], pair[0]),
    )


def write_use(weights: Path, out: Path, use: PredictorUse) -> None:
    """Write weights again, to be used in another way; the tensors keep their bits.

    out: a .safetensors file. Raises BadInput for another ending, and for weights that cannot be read.
    """
    release = PredictorRelease(read_release(weights).config, use)
    write_state_dict(out, read_state_dict(weights), release.to_metadata())


def _relative_errors(
    predictor: Predictor,
    domain: Domain,
    most: int | None,
    progress: ReportProgress,
    should_stop: ShouldStop,
) -> NDArray[np.float64]:
    """Return the ADE with each pair of values that is tried, divided by that of no motion."""
    numbers = spaced(len(domain.judged), most)
    uses = [replace(predictor.use, stay_prior=prior) for prior in STAY_PRIORS]
    sums, still = np.zeros((len(STAY_PRIORS), len(ABSTAIN_THRESHOLDS))), 0.0
    for done, number in enumerate(numbers):
        raise_if_stopped(should_stop)
        sample = domain.judged_at(number)
        expected = predictor.expect(sample.picture, sample.queries)
        moved = np.array(
            [_summed(in_picture(expected.answer(use)[0], sample, expected.working), sample) for use in uses]
        )
        stays = _summed(np.zeros_like(sample.truth), sample)
        sums += np.where(expected.informativeness < np.array(ABSTAIN_THRESHOLDS), stays, moved[:, None])
        still += stays
        progress(Progress(f"looking at {domain.name}", done + 1, len(numbers)))
    if still == 0:
        raise BadInput(f"Nothing moves in {domain.name}; name a set in which things do.")
    return sums / still


def _summed(answer: NDArray[np.float32], sample: Judged) -> float:
    """Sum the distances from the truth over points and frames, in pixels of a 256-high image."""
    distance = np.linalg.norm((answer - sample.truth)[sample.chosen], axis=-1)
    return float(distance.sum(dtype=np.float64)) / sample.unit
