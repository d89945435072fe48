#!/usr/bin/env bash
# Tests bench/sass_report. Its compiled part needs nvcc and cuobjdump.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python3 "$repository/bench/sass_report_test"
if ! command -v "${CUDACXX:-nvcc}" >/dev/null || ! command -v "${CUOBJDUMP:-cuobjdump}" >/dev/null; then
  echo "skipped 1: a compiled kernel's instructions need nvcc and cuobjdump"
fi
