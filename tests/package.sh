#!/usr/bin/env bash
# Installs a build to a scratch folder, looks what is there, and builds apps/embed against it, as another program would;
# compares what its two programs print. Does the same with the worked example of docs/own_model.md. Looks what
# find_package says where something that the package needs is lacking. Then configures a project that has this one by
# add_subdirectory.
#
#   bash tests/package.sh BUILD_FOLDER
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# quietly WHAT COMMAND...: shows the command's output where it fails, and ends there.
quietly() {
  local what=$1
  shift
  if "$@" >"$scratch/log" 2>&1; then return 0; fi
  cat "$scratch/log"
  echo "error: $what failed"
  exit 1
}

recommendations() {
  cat <<END
$1: user 0: item 2 (1.25) item 3 (-0.5)
$1: user 1: item 3 (3.5) item 0 (1.25)
$1: user 2: item 2 (3.75) item 1 (3)
END
}

quietly "installing" cmake --install "$build" --prefix "$scratch/prefix"
quietly "configuring apps/embed" cmake -G Ninja -S "$repository/apps/embed" -B "$scratch/embed" \
  -DCMAKE_PREFIX_PATH="$scratch/prefix"
quietly "building apps/embed" cmake --build "$scratch/embed"
quietly "the installed command" "$scratch/prefix/bin/sea" --version

fail() {
  echo "error: $*"
  exit 1
}

# The licence, every header of the repository, and the version, as the command says it.
cmp "$repository/LICENSE" "$scratch/prefix/share/doc/sea/LICENSE" || fail "the licence is not installed"
(cd "$repository/include" && find sea -type f ! -name '*.in') >"$scratch/headers"
echo sea/version.hpp >>"$scratch/headers"
diff <(sort "$scratch/headers") <(cd "$scratch/prefix/include" && find sea -type f | sort) ||
  fail "what is installed of include/sea differs from the repository's"
# What the installed headers include is there too. No installed library chooses a device.
grep -rhoP '^#include "\K[^"]+' "$scratch/prefix/include" | sort -u | while read -r header; do
  [ -e "$scratch/prefix/include/$header" ] || [ -e "$scratch/prefix/include/sea-host/$header" ] ||
    fail "an installed header includes $header, which is not installed"
done
[ ! -e "$scratch/prefix/include/sea-host/training/device.hpp" ] || fail "training/device.hpp is installed"
cat >"$scratch/version.cpp" <<END
#include <cstdio>
#include <sea/version.hpp>
int main() { std::printf("sea %s\\nsea %d.%d.%d\\n", SEA_VERSION, SEA_VERSION_MAJOR, SEA_VERSION_MINOR, SEA_VERSION_PATCH); }
END
quietly "compiling with sea/version.hpp" c++ -I "$scratch/prefix/include" "$scratch/version.cpp" -o "$scratch/version"
version=$("$scratch/prefix/bin/sea" --version)
diff <(printf '%s\n' "$version" "$version") <("$scratch/version") || fail "sea/version.hpp differs from the command's version"

recommendations cpu >"$scratch/expected"
if compgen -G "$scratch/prefix/lib*/libsea_cuda.a" >/dev/null; then
  if nvidia-smi -L 2>/dev/null | grep -q '^GPU 0'; then
    recommendations cuda >>"$scratch/expected"
  else
    echo "cuda: no GPU is there" >>"$scratch/expected"
  fi
fi
"$scratch/embed/embed" | tee "$scratch/printed"
diff "$scratch/expected" "$scratch/printed"

# The worked example of docs/own_model.md, as it stands there, trained on made-up data.
own=$scratch/own_model
mkdir "$own"
sed -n '/^```cmake$/,/^```$/p' "$repository/docs/own_model.md" | grep -v '^```' >"$own/CMakeLists.txt"
sed -n '/^```cpp$/,/^```$/p' "$repository/docs/own_model.md" | grep -v '^```' >"$own/own_model.cpp"
quietly "configuring docs/own_model.md" cmake -G Ninja -S "$own" -B "$own/build" -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_PREFIX_PATH="$scratch/prefix"
quietly "building docs/own_model.md" cmake --build "$own/build"
quietly "making data" "$scratch/prefix/bin/sea" synth "$scratch/data"
"$own/build/own_model" "$scratch/data" | tee "$scratch/trained"
awk '{ recall[NR] = $NF } END { exit !(NR == 20 && recall[20] > 0.1 && recall[20] > 2 * recall[1]) }' "$scratch/trained" ||
  fail "the model of docs/own_model.md does not learn"
# Without learning, recall@10 is 10 / 112; an order of the groups alone has 10 / 12.
"$scratch/embed/train" | tee "$scratch/printed"
sed 's/:.*//' "$scratch/expected" | uniq >"$scratch/devices"
awk -v devices="$(tr '\n' ' ' <"$scratch/devices")" '
  /: no GPU is there$/ { seen = seen substr($1, 1, length($1) - 1) " "; next }
  {
    seen = seen substr($1, 1, length($1) - 1) " "
    first = $5 + 0; last = $7 + 0; recall = $9 + 0
    if ($2 != 40 || first < 0.68 || first > 0.70 || last <= 0 || last > 0.2 || recall < 0.7) { print "error: " $0; bad = 1 }
  }
  END { if (seen != devices) { print "error: trained on " seen "and not on " devices; bad = 1 }; exit bad }
' "$scratch/printed"

# find_says EXPECTED COMPONENTS OPTION...: what a project that asks for these components finds.
mkdir "$scratch/finder" "$scratch/fmt"
cat >"$scratch/finder/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(finder LANGUAGES CXX)
find_package(sea QUIET ${COMPONENTS})
foreach(package sea sea_host)
  if(${package}_FOUND)
    message(STATUS "${package} is found")
  else()
    message(STATUS "${package}: ${${package}_NOT_FOUND_MESSAGE}")
  endif()
endforeach()
END
find_says() {
  quietly "configuring a project that finds sea" cmake -G Ninja -S "$scratch/finder" -B "$scratch/finder/build" \
    --fresh -DCMAKE_PREFIX_PATH="$scratch/prefix" -DCOMPONENTS="$2" "${@:3}"
  grep -q -- "^-- $1" "$scratch/log" ||
    fail "find_package(sea $2) does not say '$1' but: $(grep '^-- sea' "$scratch/log")"
}
echo 'set(PACKAGE_VERSION 1.2.3)
set(PACKAGE_VERSION_COMPATIBLE TRUE)' >"$scratch/fmt/fmt-config-version.cmake"
echo >"$scratch/fmt/fmt-config.cmake"
find_says "sea: sea was built with fmt [0-9]*, but fmt 1.2.3 is found in $scratch/fmt\.$" "" -Dfmt_DIR="$scratch/fmt"
find_says "sea_host is found" "COMPONENTS;host"
(
  export PKG_CONFIG_LIBDIR=$scratch/nothing PKG_CONFIG_PATH=
  find_says "sea: sea::host needs nlohmann_json, and libxxhash and libzip" "COMPONENTS;host"
  find_says "sea is found" "OPTIONAL_COMPONENTS;host"
  grep -q '^-- sea_host: sea::host needs' "$scratch/log" || fail "find_package(sea) does not say what sea::host lacks"
)
if compgen -G "$scratch/prefix/lib*/libsea_cuda.a" >/dev/null; then
  find_says "sea is found" "COMPONENTS;CUDA"
  # As if it had been built with another toolkit.
  sed -i 's/STREQUAL "[0-9]*"/STREQUAL "1"/' "$scratch"/prefix/lib*/cmake/sea/sea-config.cmake
  find_says "sea: sea was built with CUDA [0-9]*, but the toolkit of CUDA [0-9.]* is found\.$" "COMPONENTS;CUDA"
  find_says "sea is found" "OPTIONAL_COMPONENTS;CUDA"
else
  find_says "sea: sea was built without CUDA\.$" "COMPONENTS;CUDA"
fi

mkdir "$scratch/parent"
cat >"$scratch/parent/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.25)
project(parent LANGUAGES CXX)
add_subdirectory($repository sea EXCLUDE_FROM_ALL)
add_executable(parent $repository/apps/embed/embed.cpp)
target_link_libraries(parent PRIVATE sea::sea)
get_target_property(options sea::sea INTERFACE_COMPILE_OPTIONS)
if(options OR TARGET sea_host)
  message(FATAL_ERROR "flags or targets of the project have leaked: \${options}")
endif()
if(CMAKE_BUILD_TYPE)
  message(FATAL_ERROR "the parent's build type has become \${CMAKE_BUILD_TYPE}")
endif()
END
quietly "add_subdirectory" cmake -G Ninja -S "$scratch/parent" -B "$scratch/parent/build" -DSEA_CUDA=OFF \
  -DCMAKE_BUILD_TYPE=
