#!/usr/bin/env bash
# Installs Debian's programs for tests when it may: chromium for the browser's, nginx for the proxy's, Postgres for
# that of compose.yaml. Otherwise it says what will be skipped.
set -euo pipefail
missing=()
[ -x /usr/bin/chromium ] || missing+=(chromium)
[ -x /usr/sbin/nginx ] || missing+=(nginx-light)
compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || missing+=(postgresql)
if [ ${#missing[@]} = 0 ]; then exit 0; fi
if [ "$(id -u)" = 0 ]; then sudo=; elif sudo -n true 2>/dev/null; then sudo=sudo; else
    echo "Skipping the tests that need ${missing[*]}: only root could install what is missing."
    exit 0
fi
echo "Installing ${missing[*]} for the tests ..."
$sudo apt-get update -q >/dev/null
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}" >/dev/null
