# shellcheck shell=bash disable=SC2034
# Sourced by the scripts of this repository: what they install, and how they build, quietly.
# Debian 12 is what this is tried on; Ubuntu 24.04 has packages of the same names and is untested.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# ocl-icd-opencl-dev: the CMake package of libdnnl-dev asks for it.
build_packages=(
  cmake ninja-build g++ pkg-config
  libdnnl-dev ocl-icd-opencl-dev nlohmann-json3-dev libfmt-dev libcli11-dev libzip-dev libxxhash-dev
)
test_packages=(catch2 libboost-context-dev python3 ccache)
bench_packages=(libbenchmark-dev libeigen3-dev)
fuzz_packages=(clang libclang-rt-14-dev)
plot_packages=(python3 python3-matplotlib)
report_packages=(python3 python3-numpy python3-matplotlib python3-sklearn python3-jinja2)
browser_packages=(chromium)
torch_packages=(python3 python3-torch python3-numpy libopenblas0-pthread)

fail() {
  echo "error: $*" >&2
  exit 1
}

# with_log WHAT COMMAND...: runs the command without its output; where it fails, shows the output's end.
with_log() {
  local what=$1 log status=0
  shift
  log=$(mktemp)
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if [ "$status" -ne 0 ]; then
    tail -n 60 "$log" >&2
    echo "error: $what failed" >&2
  fi
  rm -f "$log"
  return "$status"
}

# install_packages PACKAGE...: installs those that are not there; says nothing where none is missing.
install_packages() {
  local package missing=() as_root=()
  if ! command -v dpkg-query >/dev/null; then
    echo "note: this is no Debian system; it needs what Debian calls: $*" >&2
    return 0
  fi
  for package in "$@"; do
    case $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true) in
      installed) ;;
      *) missing+=("$package") ;;
    esac
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || fail "there is no apt-get here to install what is missing: ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "neither root nor sudo is there to install what is missing: ${missing[*]}"
    sudo -n true 2>/dev/null || sudo -v || fail "sudo was refused; missing are: ${missing[*]}"
    as_root=(sudo)
  fi
  echo "installing ${missing[*]}" >&2
  local install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends
                 -o DPkg::Lock::Timeout=300 "${missing[@]}")
  # The package lists of a fresh machine are empty or old: they are fetched where the first try finds nothing.
  "${install[@]}" >/dev/null 2>&1 </dev/null && return 0
  with_log "apt-get update" "${as_root[@]}" apt-get update -q -o DPkg::Lock::Timeout=300 || exit 1
  with_log "installing ${missing[*]}" "${install[@]}" || exit 1
}

# build_folder PRESET: where a preset of CMakePresets.json builds.
build_folder() {
  if [ "$1" = release ]; then echo "$repository/build"; else echo "$repository/build-$1"; fi
}

# build_project PRESET [-DOPTION=VALUE...] [TARGET...]: configures and builds on all cores; one line of progress, the log
# on failure.
build_project() (
  preset=$1
  shift
  cd "$repository" || exit 1
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  started=$SECONDS
  options=()
  while [[ ${1:-} == -D* ]]; do
    options+=("$1")
    shift
  done
  with_log "configuring ($preset)" cmake --preset "$preset" ${options[@]+"${options[@]}"} || exit 1
  build=(cmake --build --preset "$preset" --parallel "$(nproc)")
  if [ $# -gt 0 ]; then build+=(--target "$@"); fi
  set -o pipefail
  status=0
  "${build[@]}" 2>&1 </dev/null | tee "$log" | show_progress "building ($preset)" || status=$?
  if [ "$status" -ne 0 ]; then
    grep -E -A12 'error:|FAILED:|undefined reference|ninja: error' "$log" | head -n 80 >&2 || tail -n 40 "$log" >&2
    fail "building ($preset) failed"
  fi
  echo "built ($preset) in $((SECONDS - started)) s" >&2
)

# show_progress WHAT: turns ninja's `[12/88] ...` into one line that rewrites itself; silent where nobody looks on.
show_progress() {
  local line
  while IFS= read -r line; do
    if [ -t 2 ] && [[ $line =~ ^\[([0-9]+/[0-9]+)\] ]]; then printf '\r%s: %s ' "$1" "${BASH_REMATCH[1]}" >&2; fi
  done
  if [ -t 2 ]; then printf '\r\033[K' >&2; fi
}
