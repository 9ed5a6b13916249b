"""Points that are followed from a frame in the middle of a clip, first forwards, then backwards."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from model.tracking.engine import Partial, State, Trajectories

Direction = Literal["forward", "backward", "both"]

DIRECTIONS: tuple[Direction, ...] = ("forward", "backward", "both")

_FORWARD, _BACKWARD = "forward_", "backward_"


@dataclass(frozen=True)
class AfterForward:
    """A `Partial` on the way back, behind the finished way forwards, both from the query frame.

    forward: trajectories of the query frame and the later ones. backward: of the query frame and the earlier
    ones, in the order in which they are followed.
    """

    forward: Trajectories
    backward: Partial

    def trajectories(self) -> Trajectories:
        """Return the frames forwards, then those backwards, the query frame once; see `Partial`."""
        points, visibility, handovers = self.forward
        back = self.backward.trajectories()
        return Trajectories(
            np.concatenate([points, back.points[1:]]),
            np.concatenate([visibility, back.visibility[1:]]),
            None
            if handovers is None or back.handovers is None
            else np.concatenate([handovers, back.handovers[1:]]),
        )

    def state(self) -> State:
        """Return what `forward_part` takes apart."""
        forward = {
            f"{_FORWARD}{name}": array for name, array in self.forward._asdict().items() if array is not None
        }
        return forward | {f"{_BACKWARD}{name}": array for name, array in self.backward.state().items()}


def forward_part(state: State | None) -> tuple[Trajectories | None, State | None]:
    """Return the trajectories of the way forwards, if it is finished, and the state to go on from after it.

    state: of an `AfterForward`, or of the method on its way forwards, or None.
    """
    forward = {
        name.removeprefix(_FORWARD): array
        for name, array in (state or {}).items()
        if name.startswith(_FORWARD)
    }
    if state is None or not forward:
        return None, state
    rest = {
        name.removeprefix(_BACKWARD): array for name, array in state.items() if name.startswith(_BACKWARD)
    }
    return Trajectories(**forward), rest or None
