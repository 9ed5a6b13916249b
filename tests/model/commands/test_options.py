"""Options made of settings: types, defaults, names, and the settings that come out."""

from dataclasses import dataclass

import click
import pytest
from click.testing import CliRunner

from model.commands.options import SECONDS, options_of, settings_from
from model.core.settings import setting


@dataclass(frozen=True)
class Wanted:
    inner: int = 3
    count: int = setting(2, "How many.")
    share: float | None = setting(None, "How much.")
    names: tuple[str, ...] = setting((), "Who.")
    numbers: tuple[int, ...] = setting((4,), "Which.")
    is_loud: bool = setting(False, "Whether.")
    width: int = setting(5, "How wide.", option="head_width")


def run(*arguments: str) -> tuple[Wanted, str]:
    made = []

    @click.command()
    @options_of(Wanted, head_width=6)
    def command(**values):
        made.append(settings_from(Wanted, values, inner=7))

    result = CliRunner().invoke(command, arguments)
    return (made[0] if made else None), result.output


def test_without_options_the_defaults_are_taken():
    assert run()[0] == Wanted(inner=7, width=6)


def test_options_become_settings_of_their_types():
    given = ["--share", "0.5", "--names", "a", "--names", "b", "--numbers", "1", "--is-loud"]
    assert run(*given, "--head-width", "8")[0] == Wanted(7, 2, 0.5, ("a", "b"), (1,), True, 8)


@pytest.mark.parametrize("wrong", [["--share", "much"], ["--count", "many"], ["--inner", "3"]])
def test_what_is_not_offered_or_of_another_type_is_refused(wrong):
    made, said = run(*wrong)
    assert made is None
    assert "Error" in said


def test_help_says_what_the_settings_say():
    _, said = run("--help")
    assert "How wide.  [default: 6]" in " ".join(said.split(" ")).replace("   ", "  ")
    assert said.index("--share") < said.index("--names") < said.index("--head-width")


@pytest.mark.parametrize(
    ("text", "seconds"), [("1/15s", 1 / 15), ("1/15", 1 / 15), ("0.5s", 0.5), (" 2 s", 2.0), ("0.1", 0.1)]
)
def test_a_time_is_seconds_or_a_fraction_of_them(text, seconds):
    assert SECONDS.convert(text, None, None) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "1/0s", "fast", "1m", "1/15/2"])
def test_what_is_no_time_is_one_sentence(text):
    with pytest.raises(click.BadParameter, match="is no time; write seconds"):
        SECONDS.convert(text, None, None)
