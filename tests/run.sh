#!/usr/bin/env bash
# Builds and runs every test. Installs what is missing.
#
#   bash tests/run.sh [--sanitize address|thread] [--only FILTER] [--quick] [--no-emulation]
#
# FILTER is a test's name or a part of it, or Catch2's own syntax ("*adam*", "[sampler]"). Golden cases and real data
# are looked for in $SEA_SHARED, else in shared/ beside the repository. The last line says how many tests were skipped.
# --quick: the operator tests and golden cases on the processor alone.
# --no-emulation: without the CUDA kernels emulated.
set -euo pipefail
# shellcheck source=apps/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../apps/setup.sh"

usage() {
  sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

preset=release
filter=
quick=
emulation=ON
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
    --no-emulation)
      emulation=OFF
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
  build_project "$preset" -DSEA_TESTS=ON "-DSEA_EMULATION=$emulation" "-DSEA_BENCH=$bench"
  programs=(host_tests operator_tests operator_tests_cuda)
  replays=(golden_replay golden_replay_cuda)
  if [ "$emulation" = ON ]; then
    programs=(operator_tests_emulated simt_tests "${programs[@]}")  # the longest first
    replays+=(golden_replay_emulated)
  fi
fi

bin=$(build_folder "$preset")/bin
scratch=$(mktemp -d)
set -m  # each test in a process group of its own, which ends with this script
trap 'for group in $(jobs -rp); do kill -- "-$group" 2>/dev/null; done; rm -rf "$scratch"' EXIT
launcher=()
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
if [ "$preset" = thread ] && setarch "$(uname -m)" -R true 2>/dev/null; then
  launcher=(setarch "$(uname -m)" -R)  # ThreadSanitizer cannot start under a wide address randomisation
fi

# Tests run side by side, as many as there are cores; each writes to a file of its own, shown in the order of the start.
failures=0
names=()
pids=()

# start NAME COMMAND...: waits for a free core and runs the command in the background.
start() {
  local job=${#names[@]}
  names+=("$1")
  shift
  while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n || true; done
  echo "-- ${names[job]}"
  : >"$scratch/$job.output"  # there before anybody looks
  (
    started=$SECONDS status=0
    "$@" >"$scratch/$job.output" 2>&1 </dev/null || status=$?
    echo "$status $((SECONDS - started))" >"$scratch/$job.end"
  ) &
  pids+=($!)
}

# run_program PROGRAM ARGUMENT...: a test program, which must say how many tests it skipped.
run_program() {
  local status=0 output
  output=$(mktemp "$scratch/XXXXXX")
  "${launcher[@]}" "$bin/$1" "${@:2}" 2>&1 | sed -u '/^Filters: /d' | tee "$output" || status=$?
  if [ "$status" -eq 0 ] && ! grep -q '^tests skipped: [0-9]*$' "$output"; then
    echo "error: $1 ended without saying how many tests it skipped"
    status=1
  fi
  return "$status"
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

# start_parts PROGRAM: all its tests, dealt to as many processes as there are cores, at most eight.
start_parts() {
  local list=$scratch/$1.names part parts
  parts=$(($(nproc) < 8 ? $(nproc) : 8))
  # Catch2's exit status is the number of its tests here; that the list is whole shows in the line that ends it.
  "${launcher[@]}" "$bin/$1" --list-test-names-only >"$list-all" || true
  grep -q '^tests skipped: ' "$list-all" || fail "$1 does not list its tests"
  sed -e '/^$/d' -e '/^skipped /d' -e '/^tests skipped: /d' -e 's/,/\\,/g' "$list-all" >"$list"  # a comma would end a name
  for ((part = 1; part <= parts; part++)); do
    awk -v part="$part" -v parts="$parts" '(NR - part) % parts == 0' "$list" >"$list-$part"
    start "$1 $part/$parts" run_program "$1" --input-file "$list-$part"
  done
}

for program in "${programs[@]}"; do
  [ -x "$bin/$program" ] || continue
  if [ -n "$filter" ]; then
    if names_a_test "$program" "$pattern"; then start "$program" run_program "$program" "$pattern"; fi
  elif [[ $program == operator_tests_emulated || $program == host_tests ]]; then
    start_parts "$program"  # these take minutes
  else
    start "$program" run_program "$program"
  fi
done

shared=${SEA_SHARED:-$(dirname "$repository")/shared}
for program in "${replays[@]}"; do
  [ -x "$bin/$program" ] || continue
  if [ -n "$filter" ] && [[ $program != *"$filter"* ]]; then continue; fi
  for cases in golden golden_baselines golden_company_first golden_company_second; do
    if [ -d "$shared/$cases" ]; then
      start "$program $cases" "${launcher[@]}" "$bin/$program" "$shared/$cases"
    else
      start "$program $cases" echo "skipped 1: no golden cases at $shared/$cases"
    fi
  done
done

# start_script NAME ARGUMENT...: a script of tests/.
start_script() {
  if [ -n "$quick" ] || [ "$preset" != release ] || { [ -n "$filter" ] && [[ $1 != *"$filter"* ]]; }; then return 0; fi
  start "$1" bash "$repository/tests/$1.sh" "${@:2}"
}
start_script package "$(build_folder "$preset")"
start_script cuda_libraries
start_script report "$(build_folder "$preset")"
start_script sass_report
start_script gpu_check

if [ -n "$filter" ] && [ ${#names[@]} -eq 0 ]; then
  echo "error: no test matches '$filter'" >&2
  failures=1
fi

summary=()
failed=()
for job in ${!names[@]}; do
  echo "== ${names[job]}"
  tail -n +1 -s 0.2 -f --pid="${pids[job]}" "$scratch/$job.output"
  wait "${pids[job]}" || true
  read -r status seconds <"$scratch/$job.end"
  verdict=passed
  if [ "$status" -ne 0 ]; then
    verdict="FAILED (exit $status)"
    failures=$((failures + 1))
    failed+=("$job")
  fi
  summary+=("$(printf '%-44s %-18s %4d s' "${names[job]}" "$verdict" "$seconds")")
done
for job in ${failed[@]+"${failed[@]}"}; do
  echo "== the end of what ${names[job]} printed"
  tail -n 40 "$scratch/$job.output"
done

echo "== summary ($preset)"
if [ ${#summary[@]} -gt 0 ]; then printf '%s\n' "${summary[@]}"; fi
echo "tests skipped: $(cat "$scratch"/*.output 2>/dev/null | awk '/^skipped [0-9]+: / { skipped += $2 } END { print skipped + 0 }')"
[ "$failures" -eq 0 ]
