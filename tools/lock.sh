#!/usr/bin/env bash
# Writes requirements.lock (the app) and requirements-dev.lock (tests and linters) from pyproject.toml,
# for every platform and Python >= 3.11 at once.
set -euo pipefail
cd "$(dirname "$0")/.."
options=(--universal --python-version 3.11 --no-emit-index-url --no-header --quiet --upgrade)
.venv/bin/uv pip compile "${options[@]}" pyproject.toml -o requirements.lock --constraint tools/pins.txt
.venv/bin/uv pip compile "${options[@]}" --group dev -o requirements-dev.lock --constraint requirements.lock
