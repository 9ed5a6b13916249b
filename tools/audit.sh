#!/usr/bin/env bash
# Lists what the app is made of in build/sbom.json (CycloneDX), and asks which of it has known weaknesses.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build
.venv/bin/python -m cyclonedx_py requirements --no-validate --output-reproducible -o build/sbom.json requirements.lock 2>build/audit.log
echo "build/sbom.json lists the packages of requirements.lock."
status=0
.venv/bin/python -m pip_audit -r requirements.lock --disable-pip --no-deps --progress-spinner off --timeout 10 \
    --vulnerability-service osv 2>>build/audit.log || status=$?
if grep -q "ConnectionError\|ConnectTimeout\|ReadTimeout" build/audit.log; then
    echo "The list of known weaknesses (OSV) cannot be reached from here, so nothing was audited; see build/audit.log." >&2
    exit 3
fi
[ "$status" = 0 ] || tail -n 20 build/audit.log >&2
exit "$status"
