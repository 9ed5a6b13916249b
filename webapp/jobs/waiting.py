"""When a run that waits will begin: the queue played through with the estimates of what is before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

OTHER_SECONDS = 5.0
"""How long a job takes that is no run, such as an overlay."""


@dataclass(frozen=True)
class Server:
    """A worker. queues: those it serves, in its order. free_in: seconds until its job is done."""

    queues: Sequence[str]
    free_in: float


def starts_in(
    job_id: str, waiting: Mapping[str, Sequence[str]], servers: Sequence[Server], seconds: Mapping[str, float]
) -> float | None:
    """Return the seconds until a waiting job begins; None where no worker will take it.

    waiting: the ids of the jobs in each queue, the next one first. seconds: how long each job takes;
    `OTHER_SECONDS` for those that are not named.
    Whoever is free first takes the first job of the first of its queues that has one.
    """
    queues = {name: list(reversed(ids)) for name, ids in waiting.items()}
    free = [(server.free_in, number) for number, server in enumerate(servers)]
    heapify(free)
    while free:
        time, number = heappop(free)
        queue = next((queues[name] for name in servers[number].queues if queues.get(name)), None)
        if queue is None:
            continue
        taken = queue.pop()
        if taken == job_id:
            return time
        heappush(free, (time + seconds.get(taken, OTHER_SECONDS), number))
    return None
