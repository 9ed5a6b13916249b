"""Which device and precision networks run in, and what is said of a device that is not there."""

import pytest
import torch

from model.core.devices import autocast, find_device, find_precision
from model.core.errors import BadInput


def test_a_gpu_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(BadInput, match=f"this machine has {torch.cuda.device_count()} CUDA devices"):
        find_device("cuda:99")


@pytest.mark.parametrize("is_fast", [True, False])
def test_bfloat16_is_chosen_only_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, is_fast: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: is_fast)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    cpu = torch.device("cpu")
    assert find_precision("auto", cpu) == "float32"
    with autocast(cpu):
        assert torch.is_autocast_enabled("cpu") is is_fast
