"""How long training goes on, and the learning rate on the way."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """One cycle: a short linear warm-up, then a half cosine down to nothing (Smith and Topin 2017).

    minutes, steps: what ends the training, whichever comes first; None is no limit, but one must be given.
    peak: the highest learning rate. warm_up: its share of the training.
    """

    minutes: float | None
    steps: int | None
    peak: float
    warm_up: float = 0.04

    def share(self, step: int, seconds: float) -> float:
        """Return the finished share of the training, 0 to 1, after `step` steps and `seconds` of work."""
        by_steps = step / self.steps if self.steps else 0.0
        by_time = seconds / (60 * self.minutes) if self.minutes else 0.0
        return min(1.0, max(by_steps, by_time))

    def rate(self, share: float) -> float:
        """Return the learning rate at a share of the training."""
        if share < self.warm_up:
            return self.peak * (0.02 + 0.98 * share / self.warm_up)
        done = (share - self.warm_up) / (1 - self.warm_up)
        return self.peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
