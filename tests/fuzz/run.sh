#!/usr/bin/env bash
# Fuzzes what reads bytes of a stranger: coverage-guided, under the address and undefined-behaviour sanitizers.
# Installs what is missing, builds in build-fuzz.
#
#   bash tests/fuzz/run.sh [--seconds N | --runs N] [TARGET...]
#
# TARGETs are the files here without _fuzz.cpp; without any, all. They share N seconds (default 60) or N executions
# equally. A corpus grows in build-fuzz/corpus; an input that is a finding is kept in build-fuzz/findings.
set -euo pipefail
# shellcheck source=apps/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../apps/setup.sh"

usage() {
  sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

all=()
for file in "$repository"/tests/fuzz/*_fuzz.cpp; do
  all+=("$(basename "$file" _fuzz.cpp)")
done

limit=seconds count=60 targets=()
while [ $# -gt 0 ]; do
  case $1 in
    --seconds | --runs)
      limit=${1#--} count=${2:-}
      if ! [[ $count =~ ^[1-9][0-9]{0,11}$ ]]; then
        echo "error: $1 takes a whole number from 1, not '$count'" >&2
        exit 2
      fi
      shift 2
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    -*)
      echo "error: unknown option '$1'; see --help" >&2
      exit 2
      ;;
    *)
      if [[ " ${all[*]} " != *" $1 "* ]]; then
        echo "error: there is no target '$1'; there are ${all[*]}" >&2
        exit 2
      fi
      targets+=("$1")
      shift
      ;;
  esac
done
if [ ${#targets[@]} -eq 0 ]; then targets=("${all[@]}"); fi

install_packages "${build_packages[@]}" "${fuzz_packages[@]}"
build_project fuzz "${targets[@]/%/_fuzz}"

build=$(build_folder fuzz)
share=$(((count + ${#targets[@]} - 1) / ${#targets[@]}))
if [ "$limit" = runs ]; then bound=(-runs="$share"); else bound=(-max_total_time="$share"); fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
executions=0
mkdir -p "$build/findings"
for target in "${targets[@]}"; do
  mkdir -p "$build/corpus/$target"
  started=$SECONDS status=0
  "$build/bin/${target}_fuzz" "$build/corpus/$target" "${bound[@]}" -max_len=65536 -timeout=20 -rss_limit_mb=2048 \
    -print_final_stats=1 -artifact_prefix="$build/findings/$target-" >"$log" 2>&1 </dev/null || status=$?
  if [ "$status" -ne 0 ]; then
    tail -n 60 "$log" >&2
    fail "$target: a finding; the input is in $build/findings"
  fi
  executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  covered=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
  printf '%-16s %12d executions, %5d edges covered, %5d s\n' "$target" "$executed" "$covered" $((SECONDS - started))
  executions=$((executions + executed))
done
echo "executions in all: $executions, without a finding"
