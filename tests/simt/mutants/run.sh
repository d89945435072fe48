#!/usr/bin/env bash
# Plants the mistakes of lists/ in the kernels, one at a time, and says which of them the tests notice (README.md).
#
#   bash tests/simt/mutants/run.sh [KERNEL...] [--jobs N] [--again FILE] [--check]
#
# KERNEL: a word of the kernel files to take (adam takes adam.cu and common/adam_update.cuh); all of them without it.
# --jobs N      mistakes at a time (1)
# --again FILE  only those that a former run, whose results FILE holds, did not see caught
# --check       whether every mistake's text is still in its kernel; builds nothing
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

if [[ " $* " != *" --check "* ]]; then
  [ -f build/build.ninja ] || options=(-DSEA_CUDA=OFF)
  cmake --preset release -DSEA_TESTS=ON -DSEA_EMULATION=ON ${options[@]+"${options[@]}"}
  cmake --build build --target operator_tests_emulated simt_tests
fi
exec python3 tests/simt/mutants/run.py "$@"
