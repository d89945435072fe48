#!/usr/bin/env bash
# Where kernels/cuda_libraries.cmake finds CUDA, and a library of it: in the toolkit, among Python's packages, nowhere. On
# folders made for it, so that no CUDA is needed.
#
#   bash tests/cuda_libraries.sh
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
  echo "error: $*"
  exit 1
}

# The search alone, with the variables that find_package(CUDAToolkit) sets.
cat >"$scratch/search.cmake" <<'END'
cmake_minimum_required(VERSION 3.25)
include(${MODULE})
sea_find_cuda_library(cublas cublas_v2.h)
message("include: ${SEA_CUDA_CUBLAS_INCLUDE}")
message("library: ${SEA_CUDA_CUBLAS_LIBRARY}")
END

# A Python that looks for packages in two folders, and one that does not run.
mkdir -p "$scratch/python" "$scratch/no_python"
printf '#!/bin/sh\necho "%s/empty;%s/packages"\n' "$scratch" "$scratch" >"$scratch/python/python3"
printf '#!/bin/sh\nexit 1\n' >"$scratch/no_python/python3"
chmod +x "$scratch"/*python/python3

# search PYTHON MAJOR: what is found with the toolkit as it is, CUDA of this major version.
search() {
  rm -rf "$scratch/build"
  PATH=$scratch/$1:$PATH cmake -DMODULE="$repository/kernels/cuda_libraries.cmake" -DCUDAToolkit_VERSION_MAJOR="$2" \
    -DCUDAToolkit_INCLUDE_DIRS="$scratch/other_include;$scratch/toolkit/include" \
    -DCUDAToolkit_LIBRARY_DIR="$scratch/toolkit/lib64" -DPROJECT_BINARY_DIR="$scratch/build" \
    -P "$scratch/search.cmake" >"$scratch/log" 2>&1 || {
    cat "$scratch/log"
    fail "the search ends with an error"
  }
}

# found CASE INCLUDE LIBRARY: whether the last search found them, FALSE for nothing.
found() {
  if ! grep -qxF "include: $2" "$scratch/log" || ! grep -qxF "library: $3" "$scratch/log"; then
    cat "$scratch/log"
    fail "$1: expected include: $2, library: $3"
  fi
}

# package FOLDER: what pip leaves there of cuBLAS, and a header of another CUDA beside it.
package() {
  mkdir -p "$1/include" "$1/lib"
  touch "$1/include/cublas_v2.h" "$1/include/cublas_api.h" "$1/include/cuda_runtime.h" "$1/lib/libcublas.so.13"
}

mkdir -p "$scratch/toolkit/include" "$scratch/toolkit/lib64" "$scratch/other_include" "$scratch/empty"
search python 13
found "no cuBLAS at all" FALSE FALSE
search no_python 13
found "no cuBLAS and no Python" FALSE FALSE

package "$scratch/packages/nvidia/cu13"
search python 13
found "cuBLAS 13 among Python's packages" "$scratch/build/cuda_headers/cublas" \
  "$scratch/packages/nvidia/cu13/lib/libcublas.so.13"
grep -qxF -- "-- cublas comes from $scratch/packages/nvidia/cu13" "$scratch/log" || fail "where cuBLAS comes from is not said"
headers=$(ls "$scratch/build/cuda_headers/cublas")
[ "$headers" = $'cublas_api.h\ncublas_v2.h' ] || fail "of the package's headers these came along: $headers"
search python 12
found "CUDA 12 does not take the package of CUDA 13" FALSE FALSE
package "$scratch/packages/nvidia/cublas"
search python 12
found "cuBLAS 12 among Python's packages" "$scratch/build/cuda_headers/cublas" \
  "$scratch/packages/nvidia/cublas/lib/libcublas.so.13"

touch "$scratch/toolkit/include/cublas_v2.h"
search no_python 13
found "a header without its library" "$scratch/toolkit/include" FALSE
touch "$scratch/toolkit/lib64/libcublas.so"
search python 13
found "cuBLAS in the toolkit, which goes before the packages" "$scratch/toolkit/include" "$scratch/toolkit/lib64/libcublas.so"
# A toolkit without nvToolsExt, and the lines on it of CMake 3.25's module.
mkdir -p "$scratch/project/modules"
cat >"$scratch/project/modules/FindCUDAToolkit.cmake" <<'END'
if(CMAKE_MINIMUM_REQUIRED_VERSION VERSION_GREATER_EQUAL 3.25)
  set_property(TARGET CUDA::nvToolsExt PROPERTY DEPRECATION "nvToolsExt has been superseded by nvtx3")
endif()
set(CUDAToolkit_FOUND TRUE)
END
cat >"$scratch/project/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(toolkit LANGUAGES NONE)
list(PREPEND CMAKE_MODULE_PATH ${PROJECT_SOURCE_DIR}/modules)
include(${MODULE})
sea_find_cuda_toolkit()
message("found: ${CUDAToolkit_FOUND}, asks for ${CMAKE_MINIMUM_REQUIRED_VERSION}")
END
cmake -G Ninja -S "$scratch/project" -B "$scratch/project/build" -DMODULE="$repository/kernels/cuda_libraries.cmake" \
  >"$scratch/log" 2>&1 && grep -qxF "found: TRUE, asks for 3.25" "$scratch/log" || {
  cat "$scratch/log"
  fail "a toolkit without nvToolsExt is not found"
}
echo "cuBLAS: found in a toolkit, among Python's packages, and nowhere"
