"""Reading `.npz` files."""

import ast
import gc
import io
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from model.core.arrays import read_arrays


def packed(**arrays: object) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]  # any array-like
    return content.getvalue()


def test_arrays_come_back_by_name() -> None:
    arrays = read_arrays(io.BytesIO(packed(a=np.arange(3, dtype=np.int32), b=np.array("text"))))
    assert list(arrays) == ["a", "b"]
    assert arrays["a"].tolist() == [0, 1, 2]
    assert str(arrays["b"]) == "text"


def test_files_of_another_kind_are_refused() -> None:
    single = io.BytesIO()
    np.save(single, np.zeros(3))
    for content in (single.getvalue(), b"not an archive", packed(a=np.array([{}], dtype=object))):
        with pytest.raises(ValueError, match=r"single array|allow_pickle"):
            read_arrays(io.BytesIO(content))


def test_threads_read_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error itself is too rare to wait for."""
    content, load = packed(a=np.zeros(3)), np.load
    reading: list[int] = []
    together: list[int] = []

    def slow_load(*arguments: Any, **options: Any) -> Any:
        reading.append(1)
        together.append(len(reading))
        time.sleep(0.002)
        reading.pop()
        return load(*arguments, **options)

    monkeypatch.setattr(np, "load", slow_load)
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda _: len(read_arrays(io.BytesIO(content))["a"]), range(40)))
    assert results == [3] * 40
    assert together == [1] * 40


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="CPython counts right there")
def test_a_parse_in_between_does_no_harm() -> None:
    """The garbage collector parses something while a header is parsed, as for a traceback that it formats."""
    content = packed(a=np.arange(3), b=np.zeros((2, 2)))
    left = 0

    def disturb(_phase: str, _info: dict[str, int]) -> None:
        nonlocal left
        if left > 0:
            left -= 1
            ast.parse("a + b")

    before = gc.get_threshold()
    failed = 0
    gc.callbacks.append(disturb)
    try:
        for disturbances in range(1, 60):
            gc.set_threshold(3)
            left = disturbances
            try:
                np.load(io.BytesIO(content))["a"]
            except SystemError:
                failed += 1
            left = disturbances
            arrays = read_arrays(io.BytesIO(content))
            gc.set_threshold(*before)
            assert arrays["a"].tolist() == [0, 1, 2]
            assert arrays["b"].shape == (2, 2)
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(disturb)
    assert failed > 0
