#!/usr/bin/env bash
# Puts into bench/gpu_pack/ what bench/gpu_check.sh needs on a machine with a GPU and nothing to install from: its
# programs, ready made, the libraries that they and the build look for, as a tree that works in any folder, the golden
# cases, the interactions of a real data set, and which commit this is. Installs what is missing here.
#
#   bash bench/gpu_pack.sh [--no-programs]
#
# Programs are made where nvcc is, in build-gpu-pack/, for GPUs of compute capability $SEA_GPU (default: 90, an H100 or
# H200). Golden cases and real data come from $SEA_SHARED, else from shared/ beside the repository.
set -euo pipefail
# shellcheck source=apps/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../apps/setup.sh"

with_programs=1
case ${1:-} in
  '') ;;
  --no-programs) with_programs=0 ;;
  -h | --help)
    sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
  *) fail "unknown option '$1'; there is --no-programs" ;;
esac

most_megabytes=60
shared=${SEA_SHARED:-$(dirname "$repository")/shared}
gpu=${SEA_GPU:-90}
programs=(operator_tests_cuda golden_replay_cuda sea step_bench gpu_probes variants sea_bench efficiency_table)
pack=$repository/bench/gpu_pack
wanted=("${build_packages[@]}" "${test_packages[@]}" "${bench_packages[@]}" opencl-c-headers pkgconf-bin git)
install_packages "${wanted[@]}"
other=" cmake g++ pkg-config ccache git python3 libboost-context-dev "  # there already, or not as a package
libraries=()
for package in "${wanted[@]}"; do
  if [[ $other != *" $package "* ]]; then libraries+=("$package"); fi
done
command -v dpkg-query >/dev/null || fail "the libraries are taken from Debian's packages, and there is no dpkg-query"

if [ "$with_programs" -eq 1 ] && ! command -v "${CUDACXX:-nvcc}" >/dev/null &&
  [ ! -x "${CUDA_PATH:-/usr/local/cuda}/bin/nvcc" ]; then
  echo "note: no nvcc is here; gpu_check.sh will build its programs itself" >&2
  with_programs=0
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
triplet=$(g++ -print-multiarch)
library_folder=usr/lib/$triplet
if [ "$with_programs" -eq 1 ]; then  # the check unpacks them beside the libraries: bin/ and usr/lib/
  build_project gpu-pack -DCMAKE_CUDA_ARCHITECTURES="$gpu-real" "-DCMAKE_BUILD_RPATH=\$ORIGIN/../$library_folder" \
    "${programs[@]/%sea/sea_command}"
fi

# keep FILE...: copies files of the system to their places in the tree; links within a folder stay links.
keep() {
  local file
  for file in "$@"; do
    mkdir -p "$scratch$(dirname "$file")"
    if [ -L "$file" ] && [[ $(readlink "$file") != */* ]]; then
      cp -P "$file" "$scratch$file"
      keep "$(dirname "$file")/$(readlink "$file")"
    else
      cp -L "$file" "$scratch$file"
    fi
  done
}

files_of() {
  dpkg-query -L "$1" | grep -E "^/usr/(include|lib|bin|share/pkgconfig|share/([^/]*/)?cmake)/" |
    while IFS= read -r file; do [ -d "$file" ] || echo "$file"; done
}

for package in "${libraries[@]}"; do
  mapfile -t files < <(files_of "$package")
  keep "${files[@]}"
done

# Of Boost, which is large: the configuration of its context library, and the headers that tests/simt includes.
mapfile -t files < <(
  find "/$library_folder"/cmake -maxdepth 1 \( -name 'Boost-*' -o -name 'BoostDetectToolset*' -o -name 'boost_headers-*' \
    -o -name 'boost_context-*' \) -exec find {} -type f \;
  find "/$library_folder" -maxdepth 1 -name 'libboost_context*'
  grep -rhoE '#include <boost/[^>]*>' "$repository/tests/simt" | sort -u | g++ -std=c++20 -M -x c++ - |
    tr ' ' '\n' | grep '^/usr/include/boost/'
  echo /usr/include/boost/version.hpp
)
keep "${files[@]}"

# What those libraries and programs load, but for the C and C++ run-time, which is there.
mapfile -t files < <(
  find "$scratch/usr" -type f \( -name '*.so*' -o -path '*/bin/*' \) -exec ldd {} \; 2>/dev/null |
    sed -n 's/^[[:space:]]*\([^ ]*\) => \(\/[^ ]*\) .*/\1 \2/p' | sort -u |
    grep -vE '^(libc|libm|libdl|libpthread|librt|libstdc\+\+|libgcc_s)\.so'
)
for file in "${files[@]}"; do
  [ -e "$scratch/$library_folder/${file%% *}" ] || cp -L "${file##* }" "$scratch/$library_folder/${file%% *}"
done

rm -rf "$pack"
mkdir -p "$pack"
(cd "$scratch" && cmake -E tar cJf "$pack/libraries.tar.xz" usr)
if [ "$with_programs" -eq 1 ]; then
  mkdir -p "$scratch/bin"
  for program in "${programs[@]}"; do strip -o "$scratch/bin/$program" "$repository/build-gpu-pack/bin/$program"; done
  (cd "$scratch" && cmake -E tar cJf "$pack/programs.tar.xz" bin)
  echo "$gpu" >"$pack/programs_for"
  bash "$repository/bench/source_checksum.sh" >"$pack/programs_of"
fi
for folder in golden golden_baselines golden_company_first golden_company_second datasets/baby; do
  if [ -d "$shared/$folder" ]; then
    mkdir -p "$pack/shared/$(dirname "$folder")"
    cp -R "$shared/$folder" "$pack/shared/$(dirname "$folder")/"
  else
    echo "note: $shared/$folder is not there; gpu_check.sh does without it" >&2
  fi
done
chmod -R u+w "$pack"
git -C "$repository" describe --always --abbrev=40 --exclude='*' --dirty >"$pack/commit"

size=$(du -sm "$pack" | cut -f1)
if [ "$size" -ge "$most_megabytes" ]; then fail "bench/gpu_pack is $size MB and must stay below $most_megabytes"; fi
echo "bench/gpu_pack: $size MB; take it along with the repository and run: bash bench/gpu_check.sh OUT"
