#!/usr/bin/env bash
# Installs Debian's chromium for the browser tests when it may; otherwise says what will be skipped.
set -euo pipefail
if [ -x /usr/bin/chromium ]; then exit 0; fi
if [ "$(id -u)" = 0 ]; then sudo=; elif sudo -n true 2>/dev/null; then sudo=sudo; else
    echo "Skipping the browser tests: /usr/bin/chromium is missing and only root could install it."
    exit 0
fi
echo "Installing chromium for the browser tests ..."
$sudo apt-get update -q >/dev/null
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends chromium >/dev/null
