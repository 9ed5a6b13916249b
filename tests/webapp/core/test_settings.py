"""Settings: read, checked, documented."""

import dataclasses
import os
from pathlib import Path

import pytest

from model.core.errors import BadInput
from webapp.core.settings import LONGEST_SOCKET_PATH, Settings

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "settings.md"


def test_every_setting_is_documented() -> None:
    rows = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    documented = {row.split("`")[1] for row in rows}
    assert documented == {setting.metadata["variable"] for setting in dataclasses.fields(Settings)}
    for setting in dataclasses.fields(Settings):
        row = next(row for row in rows if f"`{setting.metadata['variable']}`" in row)
        if isinstance(setting.default, int):
            assert f"`{setting.default}`" in row


def test_settings_survive_the_environment(tmp_path: Path) -> None:
    settings = Settings(instance=tmp_path, port=1234, redis_url="redis://a", pips_weights="w.pth", workers=0)
    assert Settings.from_environment(settings.to_environment()) == settings
    assert Settings.from_environment({"STILLMOTION_PORT": " "}) == Settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("STILLMOTION_PORT", "abc"),
        ("STILLMOTION_PORT", "0"),
        ("STILLMOTION_PORT", "65536"),
        ("STILLMOTION_WORKERS", "-1"),
        ("STILLMOTION_MAX_UPLOAD_BYTES", "2 GB"),
    ],
)
def test_a_bad_value_is_named_in_one_sentence(variable: str, value: str) -> None:
    with pytest.raises(BadInput, match=f"^{variable} must be .*{value}.*\\.$"):
        Settings.from_environment({variable: value})


def test_a_long_instance_path_gets_a_short_socket(tmp_path: Path) -> None:
    assert Settings(instance=tmp_path).redis_socket == tmp_path / "redis" / "redis.sock"
    deep = Settings(instance=tmp_path / ("d" * 120))
    assert len(os.fsencode(deep.redis_socket)) <= LONGEST_SOCKET_PATH
    assert deep.redis_socket != Settings(instance=tmp_path / ("e" * 120)).redis_socket
