"""The budget for decoding: never more at once than it holds, and given back after errors."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from webapp.files.decoding import DecodingBudget


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


DECODE_IN_THREADS = """
import re, sys, threading
from pathlib import Path
from model.clips.video import decoding_bytes, probe
from webapp.files.decoding import DecodingBudget
from webapp.files.pictures import clip_picture

path = Path(sys.argv[1])
budget = DecodingBudget(100 << 20)
def largest():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) >> 10
def look():
    with budget.reserve(decoding_bytes(path)):
        probe(path)
    clip_picture(path, 0, budget)
before = largest()
threads = [threading.Thread(target=look) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(largest() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_large_images_in_many_threads_take_the_memory_of_one(tmp_path: Path) -> None:
    """6 million pixels with alpha: 23 MiB decoded, 17 as RGB, and 23 again for the picture that is sent."""
    path = tmp_path / "large.png"
    Image.fromarray(np.full((2000, 3000, 4), 200, np.uint8)).save(path, compress_level=1)
    command = [sys.executable, "-c", DECODE_IN_THREADS, str(path)]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=200).stdout)
    assert 30 < grown < 100  # MiB
