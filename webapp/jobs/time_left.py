"""How long a run will still take, told so that a person can go by it."""

import math

_OWN_PACE = 0.2
"""From this share of the work on the run's own pace alone counts, before that its estimate too."""

_CHANGE_PER_SECOND, _LARGEST_CHANGE = 0.3, 0.4
"""What is told may grow or shrink by a third within a second, and by half at once."""

_OVERDUE = 0.25
"""What was told is given up when less than this share of what is left at the present pace remains of it."""

_LEAST = 0.1  # seconds


class TimeLeft:
    """The time left of one run: first by its estimate, more and more by its own pace, and without jumps."""

    def __init__(self, estimate: float) -> None:
        """estimate: seconds that the whole run is expected to take."""
        self._estimate = max(estimate, _LEAST)
        self._seconds, self._told = 0.0, self._estimate
        self._first: tuple[float, float] | None = None

    def after(self, seconds: float, fraction: float) -> float:
        """Return the seconds left.

        seconds: since the run began, not less than in the last call. fraction: of the work that is done.
        The pace is a mean of the estimated one and the run's own since the first call, when work that goes on
        has a part behind it; what was told last, less the time since, moves towards what is left at that pace
        by a bounded factor.
        """
        if fraction >= 1:
            return 0.0
        self._first = self._first or (seconds, fraction)
        done = fraction - self._first[1]
        share = min(1.0, done / _OWN_PACE)
        pace = (1 - share) / self._estimate + share * done / max(seconds - self._first[0], _LEAST)
        passed, left = seconds - self._seconds, max((1 - fraction) / pace, _LEAST)
        expected = max(self._told - passed, _OVERDUE * left)
        change = math.log(left / expected)
        bound = min(_CHANGE_PER_SECOND * passed, _LARGEST_CHANGE)
        self._seconds, self._told = seconds, expected * math.exp(min(max(change, -bound), bound))
        return self._told
