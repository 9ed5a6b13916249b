"""Jobs in a real Redis: what is told of them, and which of them count as lost."""

import time

import pytest
from redis import Redis
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from webapp.jobs.base import Condition, JobQueue, LostJobs


@pytest.fixture
def queue(redis_url: str) -> JobQueue:
    """An empty queue that no worker serves."""
    redis = Redis.from_url(redis_url)
    redis.flushall()
    yield JobQueue(redis, ("tests-first", "tests"))
    redis.close()


def work(queue: JobQueue) -> None:
    """Do all jobs that wait, in this process."""
    SimpleWorker(list(queue.names), connection=queue.redis, serializer=JSONSerializer).work(burst=True)


def test_a_job_is_told_of_from_the_queue_to_its_end(queue: JobQueue) -> None:
    assert queue.handles(["a"])["a"].condition is Condition.GONE
    for job_id in ("a", "b", "c"):
        divisor = 0 if job_id == "b" else 1
        queue.enqueue(job_id, "operator.truediv", 1, divisor, timeout=10, queue="tests")
    assert {handle.condition for handle in queue.handles("abc").values()} == {Condition.WAITING}
    assert queue.waiting_ids() == ["a", "b", "c"]
    queue.enqueue("d", "operator.truediv", 1, 1, timeout=10, queue="tests-first")
    assert queue.waiting_ids() == ["d", "a", "b", "c"]
    queue.stop("c")
    queue.stop("nobody")
    work(queue)
    after = queue.handles("abc")
    assert after["a"].condition is Condition.BETWEEN  # just ended; its result lies elsewhere
    assert after["b"].condition is Condition.FAILED
    assert after["b"].failure == "ZeroDivisionError: division by zero"
    assert after["c"].condition is Condition.STOPPED
    assert queue.known_ids() == ["b"]
    assert queue.workers() == []


def test_a_job_can_be_enqueued_again_under_its_id_and_forgotten(queue: JobQueue) -> None:
    for _ in range(2):
        queue.enqueue("a", "operator.truediv", 1, 1, timeout=10)
    assert queue.known_ids() == ["a"]
    work(queue)
    queue.enqueue("a", "operator.truediv", 1, 1, timeout=10)
    assert queue.handles(["a"])["a"].condition is Condition.WAITING
    queue.forget("a")
    assert queue.handles(["a"])["a"].condition is Condition.GONE


def test_a_job_is_lost_when_it_is_found_nowhere_twice_in_a_row(queue: JobQueue) -> None:
    lost = LostJobs(patience=0.05)
    queue.enqueue("waits", "operator.truediv", 1, 1, timeout=10)
    handles = queue.handles(["waits", "gone", "back"])
    assert lost.find(handles.values()) == set()
    time.sleep(0.1)
    queue.enqueue("back", "operator.truediv", 1, 1, timeout=10)
    assert lost.find(queue.handles(["waits", "gone", "back"]).values()) == {"gone"}
    queue.forget("back")
    assert lost.find(queue.handles(["gone", "back"]).values()) == {"gone"}  # the other's time begins anew
