#!/usr/bin/env bash
# Builds and runs every test. Installs what is missing.
#
#   bash tests/run.sh [--sanitize address|thread] [--only FILTER] [--quick]
#
# FILTER is a test's name or a part of it, or Catch2's own syntax ("*adam*", "[sampler]"). Golden cases and real data
# are looked for in $SEA_SHARED, else in shared/ beside the repository. The last line says how many tests were skipped.
# --quick: the operator tests and golden cases on the processor alone.
set -euo pipefail
# shellcheck source=apps/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../apps/setup.sh"

usage() {
  sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

preset=release
filter=
quick=
while [ $# -gt 0 ]; do
  case $1 in
    --sanitize)
      case ${2:-} in
        address | thread) preset=$2 ;;
        *)
          echo "error: --sanitize takes address or thread, not '${2:-}'" >&2
          exit 2
          ;;
      esac
      shift 2
      ;;
    --only)
      filter=${2:-}
      if [ -z "$filter" ]; then
        echo "error: --only needs the name of a test or a part of it" >&2
        exit 2
      fi
      shift 2
      ;;
    --quick)
      quick=1
      shift
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      echo "error: unknown option '$1'; see --help" >&2
      exit 2
      ;;
  esac
done

install_packages "${build_packages[@]}" "${test_packages[@]}" "${bench_packages[@]}"
[ -n "$quick" ] || install_packages "${report_packages[@]}"
if [ -n "$quick" ]; then
  build_project "$preset" -DSEA_TESTS=ON -DSEA_BENCH=ON operator_tests golden_replay
  programs=(operator_tests)
  replays=(golden_replay)
else
  # Under a sanitizer without the benchmarks: nothing is timed there.
  if [ "$preset" = release ]; then bench=ON; else bench=OFF; fi
  build_project "$preset" -DSEA_TESTS=ON "-DSEA_BENCH=$bench"
  programs=(operator_tests operator_tests_emulated operator_tests_cuda simt_tests host_tests)
  replays=(golden_replay golden_replay_emulated golden_replay_cuda)
fi

bin=$(build_folder "$preset")/bin
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
launcher=()
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
if [ "$preset" = thread ] && setarch "$(uname -m)" -R true 2>/dev/null; then
  launcher=(setarch "$(uname -m)" -R)  # ThreadSanitizer cannot start under a wide address randomisation
fi

summary=()
failures=0
skipped=0
matched=0

# note_result NAME STATUS SECONDS: keeps a line for the summary, and the end of the output where it failed.
note_result() {
  local verdict=passed
  if [ "$2" -ne 0 ]; then
    verdict="FAILED (exit $2)"
    failures=$((failures + 1))
    {
      echo "== the end of what $1 printed"
      tail -n 40 "$scratch/output"
    } >>"$scratch/failed"
  fi
  summary+=("$(printf '%-24s %-18s %4d s' "$1" "$verdict" "$3")")
}

# run_program NAME ARGUMENT...: runs a test program, shows what it prints, adds what it skipped.
run_program() {
  local name=$1 started=$SECONDS status=0 count
  shift
  echo "== $name"
  "${launcher[@]}" "$bin/$name" "$@" 2>&1 </dev/null | tee "$scratch/output" || status=$?
  count=$(sed -n 's/^tests skipped: \([0-9]*\)$/\1/p' "$scratch/output" | tail -n 1)
  if [ -n "$count" ]; then
    skipped=$((skipped + count))
  elif [ "$status" -eq 0 ] && [[ $name != golden_replay* ]]; then
    echo "error: $name ended without saying how many tests it skipped" >&2
    status=1
  fi
  note_result "$name" "$status" $((SECONDS - started))
}

# names_a_test PROGRAM PATTERN: whether the program has a test of that name.
names_a_test() {
  local listed
  listed=$("${launcher[@]}" "$bin/$1" --list-tests "$2" 2>/dev/null || true)
  grep -Eq '^[1-9][0-9]* matching test cases?' <<<"$listed"
}

pattern=$filter
case $filter in
  *['*[,~']*) ;;
  ?*) pattern="*$filter*" ;;
esac
for program in "${programs[@]}"; do
  [ -x "$bin/$program" ] || continue
  if [ -z "$filter" ]; then
    run_program "$program"
  elif names_a_test "$program" "$pattern"; then
    run_program "$program" "$pattern"
    matched=1
  fi
done

shared=${SEA_SHARED:-$(dirname "$repository")/shared}
for program in "${replays[@]}"; do
  [ -x "$bin/$program" ] || continue
  if [ -n "$filter" ] && [[ $program != *"$filter"* ]]; then continue; fi
  matched=1
  for cases in golden golden_baselines golden_company_first golden_company_second; do
    if [ -d "$shared/$cases" ]; then
      run_program "$program" "$shared/$cases"
    else
      echo "== $program"
      echo "skipped 1: no golden cases at $shared/$cases"
      skipped=$((skipped + 1))
    fi
  done
done

# run_script NAME ARGUMENT...: runs a script of tests/, adds what it skipped.
run_script() {
  local name=$1 started=$SECONDS status=0
  shift
  if [ -n "$quick" ] || [ "$preset" != release ] || { [ -n "$filter" ] && [[ $name != *"$filter"* ]]; }; then return 0; fi
  matched=1
  echo "== $name"
  bash "$repository/tests/$name.sh" "$@" 2>&1 | tee "$scratch/output" || status=$?
  skipped=$((skipped + $(grep -c '^skipped 1: ' "$scratch/output" || true)))
  note_result "$name" "$status" $((SECONDS - started))
}
run_script package "$(build_folder "$preset")"
run_script cuda_libraries
run_script report "$(build_folder "$preset")"
run_script sass_report
run_script gpu_check

if [ -n "$filter" ] && [ "$matched" -eq 0 ]; then
  echo "error: no test matches '$filter'" >&2
  failures=1
fi

if [ -e "$scratch/failed" ]; then cat "$scratch/failed"; fi
echo "== summary ($preset)"
if [ ${#summary[@]} -gt 0 ]; then printf '%s\n' "${summary[@]}"; fi
echo "tests skipped: $skipped"
[ "$failures" -eq 0 ]
