"""How far a trained predictor is to be believed, fitted on samples that it never learned from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.checkpoints import check_name, read_state_dict, write_state_dict
from model.errors import BadInput
from model.evaluate_predictor.run import in_picture
from model.evaluate_predictor.samples import Domain, Judged, spaced
from model.predictor.predict import Predictor, point_answer
from model.predictor.release import PredictorRelease, PredictorUse, read_release
from model.progress import Progress, ReportProgress, ShouldStop, raise_if_stopped

DOUBTS = tuple(step / 20 for step in range(13))
"""The values of `PredictorUse.doubt` that are tried."""
TOLERANCE = 0.01
"""Of values whose error is within this share of the least one the largest is taken: what a network does not
know is more than what a few unseen videos show of it (as the one-standard-error rule; Breiman et al. 1984).
"""


@dataclass(frozen=True)
class Calibration:
    """What was fitted, and why.

    use: the use that was written. errors: for each set, the ADE with each of `DOUBTS`, as a share of the ADE
    of no motion at all.
    """

    use: PredictorUse
    errors: tuple[tuple[float, ...], ...]


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
    """Choose the doubt with the least error over sets (see `TOLERANCE`), and write the weights with it.

    weights: as `train-predictor` writes them. out: a .safetensors file; the tensors keep their bits.
    folders: of sets, each of which counts the same. splits: for each set, or one for all, the part that the
    network has not seen. most: samples of a set, evenly chosen; None: all.
    mirror: whether the weights are to look at the mirrored image, too.
    Raises BadInput when a file or set does not fit or nothing moves in a set, Stopped on request.
    """
    check_name(out)
    if not folders:
        raise BadInput("Name at least one training set with --data; doubt is fitted on its samples.")
    if len(splits) not in (1, len(folders)):
        raise BadInput(f"Name one split, or one for each of the {len(folders)} sets, not {len(splits)}.")
    release = read_release(weights)
    use = replace(release.use, mirror=mirror, doubt=0.0)
    predictor = replace(Predictor.load(weights, device), use=use)
    chosen = list(splits) * len(folders) if len(splits) == 1 else splits
    domains = [
        Domain.open(folder, split, release.config.horizon - 1)
        for folder, split in zip(folders, chosen, strict=True)
    ]
    errors = tuple(_relative_errors(predictor, domain, most, progress, should_stop) for domain in domains)
    fitted = replace(use, doubt=chosen_doubt(errors))
    write_use(weights, out, fitted)
    return Calibration(fitted, errors)


def chosen_doubt(errors: Sequence[Sequence[float]]) -> float:
    """Choose among `DOUBTS` by the sum of the sets' errors; see `Calibration.errors` and `TOLERANCE`."""
    total = np.sum(errors, axis=0)
    return max(
        doubt for doubt, error in zip(DOUBTS, total, strict=True) if error <= total.min() * (1 + TOLERANCE)
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
) -> tuple[float, ...]:
    """Return the ADE with each of `DOUBTS`, divided by that of no motion."""
    numbers = spaced(len(domain.judged), most)
    uses = [replace(predictor.use, doubt=doubt) for doubt in DOUBTS]
    sums, still = np.zeros(len(uses)), 0.0
    for done, number in enumerate(numbers):
        raise_if_stopped(should_stop)
        sample = domain.judged_at(number)
        mixture, working = predictor.mixture(sample.picture, sample.queries)
        sums += [_summed(in_picture(point_answer(mixture, use)[0], sample, working), sample) for use in uses]
        still += _summed(np.zeros_like(sample.truth), sample)
        progress(Progress(f"looking at {domain.name}", done + 1, len(numbers)))
    if still == 0:
        raise BadInput(f"Nothing moves in {domain.name}; name a set in which things do.")
    return tuple(float(each) for each in sums / still)


def _summed(answer: NDArray[np.float32], sample: Judged) -> float:
    """Sum the distances from the truth over points and frames, in pixels of a 256-high image."""
    distance = np.linalg.norm((answer - sample.truth)[sample.chosen], axis=-1)
    return float(distance.sum(dtype=np.float64)) / sample.unit
