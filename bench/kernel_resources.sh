#!/usr/bin/env bash
# Prints, as a Markdown table, what the compiler gave each kernel of the built library: registers and stack of a thread
# on every GPU it was compiled for. Needs a build with CUDA, and cuobjdump, of the CUDA toolkit or of the Python package
# nvidia-cuda-cuobjdump.
#
#   bash bench/kernel_resources.sh [LIBRARY]      by default build/kernels/libsea_cuda.a; $CUOBJDUMP may name the tool
set -euo pipefail

case ${1:-} in
  -h | --help)
    sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
esac
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
library=${1:-$repository/build/kernels/libsea_cuda.a}
tool=${CUOBJDUMP:-cuobjdump}
if [ ! -e "$library" ]; then
  echo "error: $library is not there; build with CUDA first" >&2
  exit 1
fi
if ! command -v "$tool" >/dev/null; then
  echo "error: there is no cuobjdump; \$CUOBJDUMP may name it" >&2
  exit 77
fi

# Names without namespaces, types of arguments and views; numbers of enumerations as their names.
readable() {
  c++filt | sed -E '
    /^ Function /{
      s/(sea|cuda|detail|\(anonymous namespace\))::|void //g
      s/\(MatmulPrecision\)0/float32/; s/\(MatmulPrecision\)1/tf32x3/; s/\(MatmulPrecision\)2/tf32/
      s/\(WalkKind\)0/sums/; s/\(WalkKind\)1/attend/; s/\(WalkKind\)2/attend_by_keys/; s/\(WalkKind\)3/attend_by_both/
      s/, BasicMatrixView<[^>]*>//g; s/ >/>/g
      s/\(.*//; s/:$//
    }'
}

"$tool" --dump-resource-usage "$library" 2>/dev/null | readable | awk '
  /^identifier = / { file = $3; sub(/.*kernels\//, "", file) }
  /^arch = / { arch = $3; if (!(arch in known)) { known[arch] = 1; archs[++arch_count] = arch } }
  /^ Function / { kernel = substr($0, 11) }
  / REG:/ && kernel !~ /^cub::|^thrust::|Kernel/ {
    row = file SUBSEP kernel
    if (!(row in seen)) { seen[row] = 1; rows[++count] = row }
    match($0, /REG:[0-9]+/);   registers[row, arch] = substr($0, RSTART + 4, RLENGTH - 4)
    match($0, /STACK:[0-9]+/); stack[row, arch] = substr($0, RSTART + 6, RLENGTH - 6)
  }
  END {
    line = "| file | kernel |"; rule = "| --- | --- |"
    for (a = 1; a <= arch_count; ++a) {
      line = line " registers, " archs[a] " | stack |"; rule = rule " --- | --- |"
    }
    print line; print rule
    for (r = 1; r <= count; ++r) {
      split(rows[r], part, SUBSEP)
      line = "| " part[1] " | `" part[2] "` |"
      for (a = 1; a <= arch_count; ++a) line = line " " registers[rows[r], archs[a]] " | " stack[rows[r], archs[a]] " |"
      print line
    }
  }'
