"""From trained weights to weights as they are released: with their use fitted and written in."""

from dataclasses import replace
from pathlib import Path

from model.core.progress import ReportProgress
from model.synthetic.clips.textures import load_bank
from model.tracking.pips.finish import Finishing
from model.tracking.pips.network import Pips
from model.tracking.pips.refinement import RefinementSettings
from model.tracking.pips.release import PipsRelease, read_release
from model.tracking.pips.support import SupportSettings
from model.tracking.pips.visibility import split_weights
from model.training.trackers.fit_visibility import fit_visibility
from model.weights.checkpoints import check_name, read_state_dict, write_state_dict


def calibrate_tracker(
    weights: Path,
    out: Path,
    *,
    clips: int,
    iterations: int,
    seed: int,
    textures: Path | None,
    cutouts: Path | None,
    progress: ReportProgress,
) -> Finishing:
    """Fit the visibility of trained weights, and write them with it and with support; return what was fitted.

    weights: as `fit_tracker` writes them. out: a .safetensors file; the tensors keep their bits,
    and those of the network for visibility join them.
    seed, textures, cutouts: of the training, so that no held-out picture is used.
    Raises BadInput when `weights` is no such file, or `out` has another ending.
    """
    check_name(out)
    tensors, _ = split_weights(read_state_dict(weights))
    release = read_release(weights)
    network = Pips.from_state_dict(tensors, config=release.config)
    bank = load_bank(seed, textures, cutouts)
    finishing = Finishing(RefinementSettings(), SupportSettings())
    fitted = fit_visibility(network, iterations, finishing, bank, clips=clips, progress=progress)
    assert fitted.visibility is not None
    tensors |= fitted.visibility.to_tensors()
    use = replace(release.use, iterations=iterations, refinement=fitted.refinement, support=fitted.support)
    write_state_dict(out, tensors, PipsRelease(release.config, use).to_metadata())
    return fitted
