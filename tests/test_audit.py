"""`make audit` lists what the app is made of, and says so where it cannot ask which of it has weaknesses."""

import json
import re
import subprocess

import pytest

from tests.webapp.stack import ROOT


@pytest.mark.slow
def test_the_packages_are_listed_and_looked_up() -> None:
    done = subprocess.run(["bash", "tools/audit.sh"], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode in (0, 1, 3), done.stderr  # nothing found, something, and OSV is not reached
    assert (done.returncode == 3) == ("cannot be reached" in done.stderr)
    listed = json.loads((ROOT / "build" / "sbom.json").read_text(encoding="utf-8"))["components"]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE)
    assert {(part["name"].lower(), part["version"]) for part in listed} == {(n.lower(), v) for n, v in pinned}
