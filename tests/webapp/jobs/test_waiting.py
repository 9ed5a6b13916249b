"""When a run begins, in queues that can be counted by hand."""

import pytest

from webapp.jobs.waiting import OTHER_SECONDS, Server, starts_in

ALL, SHORT = ("short", "long"), ("short",)


@pytest.mark.parametrize(
    ("job", "servers", "begins"),
    [
        ("a", [Server(ALL, 0.0)], 0.0),
        ("c", [Server(ALL, 20.0)], 20 + 10 + 30 + OTHER_SECONDS),  # short ones, and one that is no run
        (
            "c",
            [Server(ALL, 20.0), Server(SHORT, 0.0)],
            25.0,
        ),  # the other one takes a and b, not c
        ("d", [Server(ALL, 5.0), Server(ALL, 0.0)], 35.0),  # after b, from 5 to 35; beside it a, the other, c
        ("c", [Server(SHORT, 0.0)], None),
        ("gone", [Server(ALL, 0.0)], None),
    ],
)
def test_the_queue_is_played_through(job: str, servers: list[Server], begins: float | None) -> None:
    waiting = {"short": ["a", "b", "other"], "long": ["c", "d"]}
    seconds = {"a": 10.0, "b": 30.0, "c": 100.0, "d": 1.0}
    assert starts_in(job, waiting, servers, seconds) == begins
