#!/usr/bin/env bash
# Configures with a CUDA toolkit that lacks cuBLAS and cuSPARSE: without Python's packages of them, with one, with both.
#
#   bash tests/cuda_libraries.sh
#
# Skipped where there is no nvcc in a toolkit of its own folder.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
toolkit=$(dirname "$(dirname "$(readlink -f "$nvcc")")")
if [ ! -e "$toolkit/include/cublas_v2.h" ] || [ ! -e "$toolkit/include/cusparse.h" ] || [ ! -d "$toolkit/nvvm" ]; then
  echo "skipped 1: no CUDA toolkit in a folder of its own"
  exit 0
fi
major=$("$nvcc" --version | sed -n 's/.*release \([0-9]*\).*/\1/p')
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
  cat "$scratch/log"
  echo "error: $*"
  exit 1
}

# A toolkit of links, one for each file or folder of the real one, but for the two libraries: nothing is removed.
poor=$scratch/toolkit
for folder in bin include lib64; do
  mkdir -p "$poor/$folder"
  find "$toolkit/$folder/" -mindepth 1 -maxdepth 1 ! -name '*cublas*' ! -name '*cusparse*' ! -name nvcc \
    -exec ln -s -t "$poor/$folder" {} +
done
cp "$toolkit/bin/nvcc" "$poor/bin/nvcc"  # it takes the folder that it lies in for the toolkit's
ln -s lib64 "$poor/lib"
ln -s "$toolkit/nvvm" "$poor/nvvm"

# A Python that looks for packages in one folder.
mkdir -p "$scratch/path" "$scratch/python"
printf '#!/bin/sh\necho "%s"\n' "$scratch/python" >"$scratch/path/python3"
chmod +x "$scratch/path/python3"

# add_package NAME HEADER...: what `pip install nvidia-NAME` leaves.
add_package() {
  local name=$1 folder=$scratch/python/nvidia/cu$major
  shift
  if [ "$major" -lt 13 ]; then folder=$scratch/python/nvidia/$name; fi
  mkdir -p "$folder/include" "$folder/lib"
  ln -s -t "$folder/include" "${@/#/$toolkit/include/}"
  find "$toolkit/lib64/" -name "lib$name.so.*" -exec ln -s -t "$folder/lib" {} +
}

# configure SEA_CUDA
configure() {
  rm -rf "$scratch/build"
  PATH=$scratch/path:$PATH CUDACXX=$poor/bin/nvcc cmake -G Ninja -S "$repository" -B "$scratch/build" \
    -DSEA_CUDA="$1" -DSEA_BENCH=ON -DCMAKE_CUDA_ARCHITECTURES=90 >"$scratch/log" 2>&1
}

# says PATTERN: whether the output has it, read as one line.
says() {
  tr -s ' \n' ' ' <"$scratch/log" | grep -q -- "$1"
}

configure AUTO || fail "without cuBLAS nothing can be configured"
says 'Without the CUDA backend: there is no cublas_v2.h' || fail "that cuBLAS is missing is not said"
grep -q sea_cuda.dir "$scratch/build/build.ninja" && fail "the CUDA backend is built without cuBLAS"
if configure ON; then fail "SEA_CUDA=ON is given up silently"; fi
says 'SEA_CUDA is ON, but there is no cublas_v2.h' || fail "SEA_CUDA=ON does not say what is missing"

add_package cublas cublas_v2.h cublas_api.h
configure ON || fail "cuBLAS is not taken from Python's packages"
says "cublas comes from $scratch/python" || fail "where cuBLAS comes from is not said"
grep -q sea_cuda.dir "$scratch/build/build.ninja" || fail "the CUDA backend is not built"
if [ -n "$(find "$scratch/build/cuda_headers" ! -type d ! -name 'cublas*')" ]; then fail "other headers came along"; fi
cmake --build "$scratch/build" --target kernels/CMakeFiles/sea_cuda.dir/common/cublas.cu.o >"$scratch/log" 2>&1 ||
  fail "with those headers nothing compiles"
if grep -q 'sea_bench_cuda' "$scratch/build/build.ninja"; then
  grep -q SEA_WITH_CUSPARSE "$scratch/build/build.ninja" && fail "cuSPARSE is not there, yet used"
  add_package cusparse cusparse.h
  configure ON || fail "cuSPARSE is not taken from Python's packages"
  grep -q SEA_WITH_CUSPARSE "$scratch/build/build.ninja" || fail "cuSPARSE is there, and not used"
fi
echo "with and without cuBLAS and cuSPARSE: configured as they are there"
