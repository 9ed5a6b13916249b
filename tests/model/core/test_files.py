"""Files are whole or not there."""

import os
from pathlib import Path

import pytest

from model.core.files import atomic_path, write_json


def test_a_file_appears_when_the_block_ends_readable_for_all(tmp_path: Path) -> None:
    target = tmp_path / "result.bin"
    with atomic_path(target, durable=True) as temporary:
        temporary.write_bytes(b"new")
        assert temporary.parent == tmp_path
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["result.bin"]


def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "result.bin"
    target.write_bytes(b"old")

    def write_half() -> None:
        with atomic_path(target, prefix=".mine-") as temporary:
            assert temporary.name.startswith(".mine-")
            temporary.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["result.bin"]


def test_json_lacks_infinity(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "values.json", {"error": float("inf")})
    assert not os.listdir(tmp_path)
