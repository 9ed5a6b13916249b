"""The sizes of PIPs that are trained and released."""

from model.core.errors import BadInput
from model.tracking.pips.network import PipsConfig

SIZES = {
    "authors": PipsConfig(),
    "small": PipsConfig(
        channels=64,
        width=256,
        depth=4,
        encoder_widths=(32, 48, 64, 64),
        frequencies=8,
        lowest_frequency=0.06,
        highest_frequency=3.0,
    ),
}
"""The authors' 28.7 million weights, and 3.0 million with gentler embedding frequencies: docs/training.md."""


def find_size(name: str) -> PipsConfig:
    """Return the configuration of that name; raises BadInput for another one."""
    if name not in SIZES:
        raise BadInput(f"There is no size “{name[:60]}”; choose one of {', '.join(SIZES)}.")
    return SIZES[name]
