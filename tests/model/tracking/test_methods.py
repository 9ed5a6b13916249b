"""The table of methods: what an entry says of its engine is so."""

import subprocess
import sys

import pytest

from model.core.errors import BadInput
from model.tracking.methods import METHODS, tracker_name
from model.tracking.tracker import Tracker


@pytest.mark.slow
def test_every_engine_is_there_and_only_those_that_say_so_import_torch() -> None:
    code = "import sys"
    for entry in sorted(METHODS, key=lambda entry: entry.uses_torch):
        module, name = entry.engine.split(":")
        code += f"; from {module} import {name}; print({entry.name!r}, 'torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    said = dict(line.split() for line in answer.stdout.splitlines())
    assert said == {entry.name: str(entry.uses_torch) for entry in METHODS}


def test_weights_go_to_their_method_and_to_no_other() -> None:
    named = Tracker.load(tracker_name("pips", "pips-small"), "cpu").engine.method
    assert (
        named == Tracker.load("pips-small", "cpu").engine.method == Tracker.load("pips", "cpu").engine.method
    )
    assert tracker_name("lk", "mine.pth") == "lk"
    for wrong in ("lk:mine.pth", "fcn", "pips:mine.pth"):
        with pytest.raises(BadInput, match="There are no weights"):
            Tracker.load(wrong, "cpu")
