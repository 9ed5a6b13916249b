"""Running a chain to its end."""

from model.tracking.engine import Trajectories
from model.tracking.pips.chain import Chain


def chained(chain: Chain) -> Trajectories:
    """The trajectories of all frames."""
    while not chain.is_done:
        chain.step()
    return chain.trajectories()
