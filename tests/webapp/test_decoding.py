"""The budget for decoding: never more at once than it holds, and given back after errors."""

import threading
import time

import pytest

from webapp.decoding import DecodingBudget


def test_no_more_is_decoded_at_once_than_the_budget_holds():
    budget = DecodingBudget(100)
    lock = threading.Lock()
    held, most = 0, 0

    def decode(wanted: int) -> None:
        nonlocal held, most
        with budget.reserve(wanted):
            with lock:
                held += min(wanted, 100)
                most = max(most, held)
            time.sleep(0.005)
            with lock:
                held -= min(wanted, 100)

    threads = [threading.Thread(target=decode, args=(wanted,)) for wanted in [30, 60, 500, 10, 40] * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert 60 <= most <= 100


def test_what_was_held_is_given_back_after_an_error():
    budget = DecodingBudget(10)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"), budget.reserve(10):
            raise ValueError("broken")
    with budget.reserve(10):
        pass
