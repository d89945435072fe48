#!/usr/bin/env bash
# Prints one checksum of all files that programs are built from: whether ready-made ones are of these sources.
#
#   bash bench/source_checksum.sh
set -euo pipefail
case ${1:-} in
  -h | --help)
    sed -n '2,4s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
find CMakeLists.txt CMakePresets.json apps bench host include kernels tests \
  \( -name CMakeLists.txt -o -name CMakePresets.json -o -name '*.cmake' -o -name '*.in' -o -name '*.[ch]pp' -o -name '*.cu' \
  -o -name '*.cuh' \) -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d ' ' -f 1
