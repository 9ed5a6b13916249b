"""One loader of checkpoints: it takes the layouts that people have, runs no code, and says what it found."""

import argparse
import collections
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from model.core.errors import BadInput
from model.weights.checkpoints import read_state_dict
from model.weights.metadata import read_metadata

TENSORS = {"first.weight": torch.arange(6.0).reshape(2, 3), "first.bias": torch.ones(2)}


def prefixed(prefix: str) -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in TENSORS.items()}


LAYOUTS = {
    "plain": TENSORS,
    "module": prefixed("module."),
    "compiled and parallel": prefixed("_orig_mod.module."),
    "model": {"model": TENSORS, "epoch": 3},
    "model_state_dict": {"model_state_dict": prefixed("module."), "optimizer_state_dict": {"state": {}}},
    "lightning": {"state_dict": prefixed("model."), "pytorch-lightning_version": "2.5"},
    "odd name": {"weights_ema": collections.OrderedDict(TENSORS), "step": 7},
    "two": {"ema": {"other": torch.zeros(1)}, "model": TENSORS},
    "options": {
        "state_dict": TENSORS,
        "args": argparse.Namespace(lr=np.float64(1e-3), out=Path("runs"), sizes=(1, 2)),
        "best": np.float32(0.5),
        "history": np.arange(4),
        "random": np.random.RandomState(0).get_state(),
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("is_old", [False, True], ids=["zip", "legacy"])
def test_every_layout_gives_the_same_tensors(tmp_path, layout, is_old):
    path = tmp_path / "weights.bin"
    torch.save(LAYOUTS[layout], path, _use_new_zipfile_serialization=not is_old)
    read = read_state_dict(path)
    assert read.keys() == TENSORS.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in TENSORS.items())


def test_numpy_1_values_are_read(tmp_path):
    path = tmp_path / "old.pth"
    torch.save({"model": TENSORS, "best": np.float32(0.5)}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    new = b"cnumpy._core.multiarray\nscalar\n"
    assert new in content
    path.write_bytes(content.replace(new, b"cnumpy.core.multiarray\nscalar\n"))
    assert read_state_dict(path).keys() == TENSORS.keys()


def test_the_kind_is_found_from_the_content(tmp_path):
    path = tmp_path / "really-safetensors.pth"
    safetensors.torch.save_file(prefixed("module."), path, {"note": "hello"})
    assert read_state_dict(path).keys() == TENSORS.keys()
    assert read_metadata(path) == {"note": "hello"}
    path = tmp_path / "really-torch.safetensors"
    torch.save(TENSORS, path)
    assert read_state_dict(path).keys() == TENSORS.keys()
    assert read_metadata(path) == {}


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harm",)


class Network(torch.nn.Module):
    pass


def refused(path: Path, pattern: str) -> None:
    with pytest.raises(BadInput, match=pattern) as caught:
        read_state_dict(path)
    assert str(caught.value).startswith((path.name, "There is no"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("is_old", [False, True], ids=["zip", "legacy"])
def test_code_is_never_run_and_named(tmp_path, monkeypatch, is_old):
    monkeypatch.chdir(tmp_path)
    for content, name in ((Harmful(), r"mkdir"), (Network(), r"Network")):
        torch.save({"model": TENSORS, "more": content}, "w.pth", _use_new_zipfile_serialization=not is_old)
        refused(Path("w.pth"), rf"holds Python objects \(.*{name}\).*state_dict\(\)")
    assert not Path("harm").exists()


def test_each_bad_file_has_its_own_reason(tmp_path):
    path = tmp_path / "w.pth"
    refused(path, "no checkpoint file")
    path.mkdir()
    refused(path, "cannot be read .*directory")
    path.rmdir()
    for content, pattern in (
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>", "is a web page, not weights"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "pointer of Git LFS"),
        (b"hello, these are no weights at all", "damaged or is not a checkpoint"),
        (pickle.dumps({"a": 1}, protocol=2), "damaged|no state dict"),
    ):
        path.write_bytes(content)
        refused(path, pattern)
    torch.save({"optimizer": {"lr": 0.1}, "epoch": 3}, path)
    refused(path, "no state dict, tensors by name, but optimizer, epoch;")
    torch.save([TENSORS], path)
    refused(path, "no state dict, tensors by name, but list;")
    torch.save(TENSORS, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, "damaged or is not a")
    safetensors.torch.save_file(TENSORS, path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-4])
    refused(path, "damaged or is not a")


@pytest.mark.filterwarnings("ignore")  # torch deprecates what makes them; people have them
def test_a_torchscript_program_is_refused_in_words(tmp_path):
    path = tmp_path / "program.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
    refused(path, "TorchScript")
