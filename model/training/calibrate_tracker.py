"""From trained weights to weights as they are released: with their use fitted and written in."""

from dataclasses import replace
from pathlib import Path

from model.checkpoints import check_name, read_state_dict, write_state_dict
from model.dataset.textures import load_bank
from model.pips.finish import Finishing
from model.pips.network import Pips
from model.pips.refinement import RefinementSettings
from model.pips.release import PipsRelease, read_release
from model.pips.support import SupportSettings
from model.pips.visibility import split_weights
from model.progress import ReportProgress
from model.training.fit_visibility import fit_visibility


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
