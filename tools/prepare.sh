#!/usr/bin/env bash
# Usage: prepare.sh LOCK_FILE...   Makes .venv and installs the pinned versions into it.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "Stillmotion needs Python 3.11 or newer; call make PYTHON=/path/to/python3.11 instead." >&2
    exit 2
fi
# torch with its GPU libraries takes 6.4 GB, and pip keeps some of the files beside it for a while. Told here, since
# pip says only "No space left on device", at its end.
gigabytes=8
free=$(($(df -Pk . | awk 'NR == 2 { print $4 }') / 1000000))
if ! compgen -G '.venv/lib/python*/site-packages/torch' >/dev/null && [ "$free" -lt "$gigabytes" ]; then
    echo "Stillmotion needs at least $gigabytes GB of free disk to install its packages, and here are $free GB; make room." >&2
    exit 2
fi
if [ ! -x .venv/bin/pip ]; then
    # Debian and Ubuntu keep ensurepip in a package of its own.
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi
        echo "Installing python$version-venv ..."
        if ! { $sudo apt-get update -q && $sudo apt-get install -qy "python$version-venv"; } >/dev/null; then
            echo "Stillmotion needs the package python$version-venv; install it and try again." >&2
            exit 2
        fi
    fi
    "$python" -m venv .venv
fi
arguments=()
for lock in "$@"; do arguments+=(-r "$lock"); done
echo "Installing the pinned packages into .venv (about two minutes the first time) ..."
.venv/bin/pip install --quiet --disable-pip-version-check "${arguments[@]}"
