#!/usr/bin/env bash
# Everything that only a GPU can tell, in one command of at most nine minutes: builds, runs the operators' tests and the
# golden cases on the GPU, times training steps in several settings, what the predictions assume of a GPU and variants of
# kernels, trains, runs compute-sanitizer and the benchmarks. bench/gpu_pack/ (bench/gpu_pack.sh) brings what the machine
# lacks; docs/gpu_check.md says what it needs and how to read the result.
#
#   bash bench/gpu_check.sh OUT
#
# OUT/gpu_check.json holds a status, figures and the end of the log for each part, OUT/gpu_check.log everything,
# OUT/predictions.tsv which predictions were right, OUT/tuned.cuh the fastest variants. Programs that the pack brings for
# this GPU and these sources are not built. Exits with 0 where nothing failed and the tests ran. $SEA_GPU_CHECK_MINUTES, of
# a slow machine, in place of 9.
set -uo pipefail

case ${1:-} in
  -h | --help)
    sed -n '2,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
  '' | -*)
    echo "error: the one argument is a folder for the results; see --help" >&2
    exit 2
    ;;
esac
mkdir -p "$1" || exit 1
out=$(cd "$1" && pwd)
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
pack=$repository/bench/gpu_pack
build=$repository/build-gpu
bin=$build/bin
minutes=${SEA_GPU_CHECK_MINUTES:-9}
deadline=$((minutes * 60 - 10))  # seconds; the rest is for stopping what runs then
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
log=$out/gpu_check.log
: >"$log"
SECONDS=0

unavailable=77  # what a part returns that this machine refuses
out_of_time=75
missed_part=0 failed_part=0
declare -A verdict_of
parts=()

# ---- the report: in bash alone, for a machine without python

text_of() {  # a file as the inside of a JSON string
  LC_ALL=C tr -cd '\11\12\40-\176' <"$1" | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/\t/\\t/g' |
    awk 'NR > 1 { printf "\\n" } { printf "%s", $0 }'
}

string_of() {  # words as a JSON string
  printf '%s' "$*" >"$scratch/string"
  printf '"%s"' "$(text_of "$scratch/string")"
}

# figure NAME VALUE: notes a figure of the part that runs.
figure() {
  if [ -n "$2" ]; then printf '%s\t%s\n' "$1" "$2" >>"$scratch/figures"; fi
}

figures_as_json() {
  local name value between=
  [ -e "$scratch/figures" ] || return 0
  while IFS=$'\t' read -r name value; do
    [[ $value =~ ^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$ ]] || value=$(string_of "$value")
    printf '%s"%s": %s' "$between" "$name" "$value"
    between=', '
  done <"$scratch/figures"
}

write_report() {
  local i
  {
    printf '{\n  "gpu": %s,\n  "driver": %s,\n  "cuda": %s,\n' "$(string_of "$gpu")" "$(string_of "$driver")" \
      "$(string_of "$cuda")"
    printf '  "date": "%s",\n  "commit": %s,\n  "compiler": %s,\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
      "$(string_of "$commit")" "$(string_of "$compiler")"
    printf '  "cores": %s,\n  "seconds": %s,\n  "parts": [' "$(nproc)" "$SECONDS"
    for i in "${!parts[@]}"; do
      [ "$i" -eq 0 ] || printf ','
      printf '\n    %s' "${parts[i]}"
    done
    printf '\n  ]\n}\n'
  } >"$out/.gpu_check.json"
  mv "$out/.gpu_check.json" "$out/gpu_check.json"
}

# ---- parts

left() { echo $((deadline - SECONDS)); }

# record NAME STATUS SECONDS
record() {
  local tail=
  if [ -e "$scratch/log" ]; then
    tail -n 30 "$scratch/log" | tail -c 3000 >"$scratch/tail"
    tail=$(text_of "$scratch/tail")
  fi
  parts+=("$(printf '{"name": "%s", "status": "%s", "seconds": %d, "figures": {%s}, "log_tail": "%s"}' \
    "$1" "$2" "$3" "$(figures_as_json)" "$tail")")
  verdict_of[$1]=$2
  case $2 in
    failed) failed_part=1 ;;
    passed) ;;
    *) missed_part=1 ;;
  esac
  printf '%-24s %-18s %4d s\n' "$1" "$2" "$3" | tee -a "$log"
  write_report
}

# part NAME LIMIT FUNCTION [ARGUMENT...]: runs one part for at most LIMIT seconds (of nine minutes) and what is left of
# all time. One that outruns its own limit has failed; one that lacked the time has not.
part() {
  local name=$1 limit=$(($2 * minutes / 9)) started=$SECONDS status=0 verdict
  shift 2
  rm -f "$scratch/figures" "$scratch/log"
  if [ "$(left)" -lt 5 ]; then
    record "$name" skipped_for_time 0
    return 1
  fi
  local cut=$((limit < $(left) ? limit : $(left)))
  "$@" "$cut" >"$scratch/log" 2>&1 </dev/null || status=$?
  {
    printf '\n==== %s (exit %d)\n' "$name" "$status"
    tail -c 400000 "$scratch/log"
  } >>"$log"
  case $status in
    0) verdict=passed ;;
    "$unavailable") verdict=unavailable ;;
    "$out_of_time") verdict=skipped_for_time ;;
    124 | 137) if [ "$cut" -lt "$limit" ]; then verdict=skipped_for_time; else verdict=failed; fi ;;
    *) verdict=failed ;;
  esac
  if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then echo "stopped after $cut s" >>"$scratch/log"; fi
  record "$name" "$verdict" $((SECONDS - started))
  [ "$verdict" = passed ]
}

# within SECONDS COMMAND...: the command, killed after that time.
within() {
  timeout -k 5 "$@"
}

# refuse WHY: ends a part that this machine cannot run.
refuse() {
  echo "$*"
  return "$unavailable"
}

unpack() {
  if [ ! -e "$pack/libraries.tar.xz" ]; then
    echo "bench/gpu_pack is not there: the libraries must be this machine's own"
    return 0
  fi
  mkdir -p "$build" && (cd "$build" && within "$1" cmake -E tar xf "$pack/libraries.tar.xz")
}

# Where a toolkit or Python's packages have CUDA's libraries, with a colon between.
library_folders() {
  printf %s "${CUDA_PATH:-/usr/local/cuda}/lib64"
  python3 - 2>/dev/null <<'END'
import glob, os, sys
libraries = [file for path in sys.path if path for name in ("cublas", "cusparse", "nvJitLink")
             for file in glob.glob(f"{path}/nvidia/*/lib/lib{name}.so.*")]
print("".join(":" + folder for folder in sorted({os.path.dirname(file) for file in libraries})), end="")
END
}

# Whether the pack's programs are of these sources, for this GPU, and start here; if not, all is built.
ready_made_programs() {
  [ "$(cat "$pack/programs_for")" = "$capability" ] ||
    refuse "the pack's are for compute capability $(cat "$pack/programs_for"), this GPU has $capability" || return
  [ "$(cat "$pack/programs_of")" = "$(bash "$repository/bench/source_checksum.sh")" ] ||
    refuse "the pack's are of other sources" || return
  (cd "$build" && within "$1" cmake -E tar xf "$pack/programs.tar.xz") || return
  { "$bin/sea" --version && "$bin/operator_tests_cuda" --list-tags >/dev/null; } || refuse "they do not start here"
}

configure() {
  local arguments=(-S "$repository" -B "$build" -DCMAKE_BUILD_TYPE=Release -DSEA_CUDA=ON -DSEA_WERROR=OFF
                   -DSEA_TESTS=ON -DSEA_BENCH=ON)
  # Told, not asked of the driver by each run of the compiler, as "native" has it.
  [ -z "$capability" ] || arguments+=(-DCMAKE_CUDA_ARCHITECTURES="$capability-real")
  local generator="Unix Makefiles" libraries=$build/usr
  command -v cmake >/dev/null || refuse "there is no cmake" || return
  if [ -d "$libraries" ]; then
    local folder
    folder=$(dirname "$(find "$libraries/lib" -name 'libdnnl.so' | head -n 1)")
    # Its own pkg-config, told where the tree lies; run-time paths that hold for libraries' own libraries too.
    cat >"$build/pkg-config" <<END
#!/bin/sh
export LD_LIBRARY_PATH='$folder' PKG_CONFIG_SYSROOT_DIR='$build' PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1
export PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 PKG_CONFIG_LIBDIR='$folder/pkgconfig:$libraries/share/pkgconfig'
exec '$libraries/bin/pkgconf' "\$@"
END
    chmod +x "$build/pkg-config"
    arguments+=(-DCMAKE_PREFIX_PATH="$libraries" -DPKG_CONFIG_EXECUTABLE="$build/pkg-config"
                -DCMAKE_EXE_LINKER_FLAGS="-Wl,--disable-new-dtags,-rpath,$folder,-rpath-link,$folder")
  fi
  if command -v ninja >/dev/null; then
    generator=Ninja
  elif [ -x "$libraries/bin/ninja" ] && "$libraries/bin/ninja" --version >/dev/null 2>&1; then
    generator=Ninja
    arguments+=(-DCMAKE_MAKE_PROGRAM="$libraries/bin/ninja")
  fi
  within "$1" cmake -G "$generator" "${arguments[@]}"
}

# build TARGET... LIMIT
build() {
  local targets=("${@:1:$#-1}") limit=${!#}
  within "$limit" cmake --build "$build" --parallel "$(nproc)" --target "${targets[@]}"
}

has_target() {
  cmake --build "$build" --target help 2>/dev/null | grep -qE "(^|[ .])$1( |:|$)"
}

# build_those_of TARGET... LIMIT: those of the targets that this configuration has.
build_those_of() {
  local target targets=() limit=${!#}
  if [ "$ready_made" -eq 1 ]; then
    echo "ready made"
    return 0
  fi
  for target in "${@:1:$#-1}"; do
    if has_target "$target"; then targets+=("$target"); fi
  done
  [ "${#targets[@]}" -gt 0 ] || refuse "there is none of: ${*:1:$#-1}" || return
  build "${targets[@]}" "$limit"
}

# A test program's own count of what it could not run.
skipped_of_log() {
  sed -n 's/^tests skipped: \([0-9]*\)$/\1/p' "$scratch/log" | tail -n 1
}

# names_of_tests FILE
names_of_tests() {
  within 20 "$bin/operator_tests_cuda" --list-test-names-only | sed '/^tests skipped\|^skipped /d; /^$/d' >"$1"
}

pattern_of() {  # a test's name as what asks for it alone
  sed 's/[][,*\\]/\\&/g' <<<"$1"
}

# test_alone NAME: in a process of its own.
test_alone() {
  local output
  output=$(timeout -k 5 20 "$bin/operator_tests_cuda" "$(pattern_of "$1")" 2>&1) && return
  printf 'FAILED ALONE: %s\n%s\n' "$1" "$(tail -n 15 <<<"$output")"
}

# The first two thirds of the time are for all tests together. Where that fails, each runs once more by itself, since a
# fault takes the device from all later tests of a process.
operator_tests() {
  local name value status=0 rest=$(($1 / 3))
  within $(($1 - rest)) "$bin/operator_tests_cuda" || status=$?
  sed -n -E 's/^All tests passed \(([0-9]+) assertions? in ([0-9]+) test cases?\).*/assertions \1\ntest_cases \2/p
             s/^test cases: *([0-9]+) \|.* ([0-9]+) failed.*/test_cases \1\ntest_cases_failed \2/p' "$scratch/log" |
    while read -r name value; do figure "$name" "$value"; done
  if [ "$status" -eq 0 ]; then
    [ "$(skipped_of_log)" = 0 ] || refuse "tests were skipped"
    return
  fi
  if [ "$rest" -gt 0 ] && names_of_tests "$scratch/tests"; then
    tr '\n' '\0' <"$scratch/tests" |
      within "$rest" xargs -0 -r -n 1 -P 8 bash -c 'test_alone "$0"' >"$scratch/alone"
    figure test_cases_failed_alone "$(grep -c '^FAILED ALONE: ' "$scratch/alone")"
    cat "$scratch/alone"
  fi
  return "$status"
}

# golden FOLDER LIMIT
golden() {
  local status=0 within_bounds
  [ -d "$1" ] || refuse "$1 is not there" || return
  within "$2" "$bin/golden_replay_cuda" "$1" || status=$?
  within_bounds=$(grep -cE ' ok( |$)' "$scratch/log")
  figure groups_within_bounds "$within_bounds"
  figure groups_past_a_bound "$(grep -cE ' PAST( |$)' "$scratch/log")"
  if [ "$status" -eq 0 ] && [ "$within_bounds" -eq 0 ]; then refuse "nothing was compared" || return; fi
  return "$status"
}

# make_data FOLDER ARGUMENT... LIMIT
make_data() {
  local folder=$1 limit=${!#}
  within "$limit" "$bin/sea" synth "$folder" "${@:2:$#-2}" && "$bin/sea" info "$folder"
}

# train DATA EPOCHS ALIGN DISTANCE LIMIT: a run of its own; the losses and metrics of its last epoch.
train() {
  local run name status=0 last
  run=$scratch/run-$(basename "$1")-$3-$4
  [ -d "$1" ] || refuse "there are no data" || return
  within "$5" "$bin/sea" train "$1" --device cuda --epochs "$2" --set "align=$3" --set "distance=$4" --output "$run" ||
    status=$?
  [ "$status" -eq 0 ] || return "$status"
  last=$(tail -n 1 "$run/metrics.jsonl")
  echo "$last"
  for name in total bpr align distance club_fit train_seconds eval_seconds recall@20; do
    figure "$name" "$(grep -o "\"$name\": *[-0-9.e+]*" <<<"$last" | tail -n 1 | sed 's/.*: *//')"
  done
  # A loss that is not a number is no success.
  ! grep -qiE 'nan|null' <<<"$last"
}

# sanitize_test TOOL NAME: one test under compute-sanitizer; its verdict goes to a file.
sanitize_test() {
  local tool=$1 name=$2 status=0 output options=() verdict=clean
  output=$(mktemp "$scratch/sanitizer.XXXXXX")
  # Calls that fail because a test wants it are no findings.
  if [ "$tool" = memcheck ]; then options=(--report-api-errors no); fi
  compute-sanitizer --tool "$tool" "${options[@]}" --error-exitcode 97 --print-limit 3 \
    "$bin/operator_tests_cuda" "$(pattern_of "$name")" >"$output" 2>&1 || status=$?
  if grep -qiE 'device not supported|failed to initialize|unable to find injection|no such file' "$output"; then
    verdict=refused
  elif [ "$status" -ne 0 ]; then
    verdict=error
  fi
  { [ "$verdict" = clean ] || sed "s/^/$name: /" "$output"; } >>"$scratch/$tool.findings"
  echo "$verdict" >>"$scratch/$tool.verdicts"
}

# sanitize TOOL LIMIT: as many tests as there is time for, several at once.
sanitize() {
  local tool=$1 count clean errors refused
  command -v compute-sanitizer >/dev/null || refuse "there is no compute-sanitizer" || return
  : >"$scratch/$tool.verdicts" && : >"$scratch/$tool.findings"
  names_of_tests "$scratch/tests"
  count=$(wc -l <"$scratch/tests")
  tr '\n' '\0' <"$scratch/tests" |
    within "$2" xargs -0 -r -n 1 -P 8 bash -c 'sanitize_test "$0" "$1"' "$tool"
  clean=$(grep -c clean "$scratch/$tool.verdicts")
  errors=$(grep -c error "$scratch/$tool.verdicts")
  refused=$(grep -c refused "$scratch/$tool.verdicts")
  figure tests "$count"
  figure tests_clean "$clean"
  figure tests_with_errors "$errors"
  head -c 200000 "$scratch/$tool.findings"
  [ "$errors" -eq 0 ] || return 1
  [ "$refused" -eq 0 ] || refuse "compute-sanitizer refuses this machine" || return
  [ "$clean" -eq "$count" ] || return "$out_of_time"
}

operator_benchmarks() {
  [ -x "$bin/sea_bench" ] || refuse "there is no sea_bench" || return
  within "$1" "$bin/sea_bench" --backend cuda --benchmark_filter=/baby/ --benchmark_min_time=0.05 \
    --benchmark_out_format=json --benchmark_out="$scratch/sea_bench.json" && mv "$scratch/sea_bench.json" "$out"
}

efficiency_table() {
  [ -x "$bin/efficiency_table" ] || refuse "there is no efficiency_table" || return
  within "$1" "$bin/efficiency_table" --device cuda --datasets baby --data "$data" --batches 20 \
    --output "$out/efficiency_table.json"
}

# expect NAME MEASURED PREDICTED: a figure of the part that runs, and whether what was predicted is within a quarter of it.
expect() {
  local verdict
  [ -n "$2" ] && [ -n "$3" ] || return 0
  verdict=$(awk -v measured="$2" -v predicted="$3" 'BEGIN {
    ratio = predicted > 0 ? measured / predicted : 0
    print (ratio > 1.25 ? "too low" : ratio < 0.8 ? "too high" : "right") }')
  figure "$1" "$2"
  figure "$1.predicted" "$3"
  figure "$1.prediction" "$verdict"
  printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$verdict" >>"$out/predictions.tsv"
}

# number_of FILE KEY: a number by its key, the first one of a JSON file that has a line a key.
number_of() {
  sed -n "s/^ *\"$2\": *\([-0-9.e+]*\),*$/\1/p" "$1" | head -n 1
}

# predicted_step KEY: what bench/sass_report predicted of a step on Baby.
predicted_step() {
  sed -n '/"size": "baby"/,/}/p' "$repository/bench/results/predicted_step_h200.json" >"$scratch/predicted"
  number_of "$scratch/predicted" "$1"
}

# All that step_bench wrote, as one file.
gather_steps() {
  local file name between='{'
  {
    for file in "$scratch"/step_bench_*.json; do
      name=${file##*/step_bench_}
      printf '%s\n"%s": ' "$between" "${name%.json}"
      cat "$file"
      between=','
    done
    echo '}'
  } >"$out/step_bench.json"
}

# step_benchmark NAME [KEY=VALUE | SEA_VARIABLE=VALUE]... LIMIT: steps with these settings and in this environment.
step_benchmark() {
  local limit=${!#} file=$scratch/step_bench_$1.json word environment=() settings=() name
  [ -x "$bin/step_bench" ] || refuse "there is no step_bench" || return
  [ -d "$data/baby" ] || refuse "there are no data" || return
  for word in "${@:2:$#-2}"; do
    case $word in
      SEA_*) environment+=("$word") ;;
      --*) settings+=("$word") ;;
      *) settings+=(--set "$word") ;;
    esac
  done
  within "$limit" env "${environment[@]}" "$bin/step_bench" "$data/baby" --device cuda "${settings[@]}" --json "$file" ||
    return
  gather_steps
  for name in seconds_per_step_median steps clock_mhz_before clock_mhz_after peak_memory_bytes; do
    figure "$name" "$(number_of "$file" "$name")"
  done
  if [ "$1" = seaa ]; then
    local us
    us=$(awk -v s="$(number_of "$file" seconds_per_step_median)" 'BEGIN { if (s > 0) printf "%.1f", s * 1e6 }')
    expect step_us "$us" "$(predicted_step predicted_step_us)"
    expect step_sharing_multiprocessors_us "$us" "$(predicted_step sharing_multiprocessors_us)"
  fi
}

# What the predictions assume of a GPU.
probes() {
  local name measured predicted status=0
  [ -x "$bin/gpu_probes" ] || refuse "there is no gpu_probes" || return
  within "$1" "$bin/gpu_probes" | tee "$scratch/probes" || status=$?
  while read -r name measured predicted; do expect "$name" "$measured" "$predicted"; done <"$scratch/probes"
  return "$status"
}

# The choices of kernels/variants.cuh, timed against each other.
variants() {
  local name value
  [ -x "$bin/variants" ] || refuse "there is no variants" || return
  within "$1" "$bin/variants" "$out/tuned.cuh" | tee "$scratch/variants" || return
  while read -r name value; do figure "$name" "$value"; done <"$scratch/variants"
}

# How many predictions were right.
predictions() {
  [ -s "$out/predictions.tsv" ] || refuse "nothing was measured that had been predicted" || return
  cat "$out/predictions.tsv"
  figure right "$(grep -c 'right$' "$out/predictions.tsv")"
  figure too_low "$(grep -c 'too low$' "$out/predictions.tsv")"
  figure too_high "$(grep -c 'too high$' "$out/predictions.tsv")"
}

kernel_resources() {
  local library=$build/kernels/libsea_cuda.a
  [ -e "$library" ] || library=$bin/operator_tests_cuda
  within "$1" bash "$repository/bench/kernel_resources.sh" "$library" |
    tee "$out/kernel_resources.md"
}

# ---- the machine

first_line() { "$@" 2>/dev/null | head -n 1; }
has_gpu=1
gpu=$(first_line nvidia-smi --query-gpu=name --format=csv,noheader)
driver=$(first_line nvidia-smi --query-gpu=driver_version --format=csv,noheader)
nvidia-smi -L 2>/dev/null | grep -q '^GPU 0' || has_gpu=0
if [ "$has_gpu" -eq 0 ]; then gpu=none; fi
capability=$(first_line nvidia-smi --query-gpu=compute_cap --format=csv,noheader | tr -d .)
[[ $capability =~ ^[0-9]+$ ]] || capability=
ready_made=0
for folder in "${CUDA_PATH:-/usr/local/cuda}" /usr/local/cuda; do
  if [ -x "$folder/bin/nvcc" ]; then export PATH=$PATH:$folder/bin; fi
  if [ -d "$folder/compute-sanitizer" ]; then export PATH=$PATH:$folder/compute-sanitizer; fi
done
cuda=$(nvcc --version 2>/dev/null | sed -n 's/.*release [0-9.]*, V//p')
compiler=$(first_line g++ --version)
commit=$(cat "$pack/commit" 2>/dev/null || echo unknown)
if [ -e "$repository/.git" ]; then
  commit=$(git -C "$repository" describe --always --abbrev=40 --exclude='*' --dirty 2>/dev/null || echo "$commit")
fi
SEA_SHARED=${SEA_SHARED:-$pack/shared}
[ -d "$SEA_SHARED" ] || SEA_SHARED=$(dirname "$repository")/shared
export SEA_SHARED
data=$scratch/data
mkdir -p "$data"
export bin scratch
export -f sanitize_test test_alone pattern_of
echo "gpu: $gpu; driver: ${driver:-none}; nvcc: ${cuda:-none}; commit: $commit" | tee -a "$log"

# ---- what is asked, the most important first

rm -f "$out/predictions.tsv"
part unpack 60 unpack
if [ -e "$pack/programs.tar.xz" ] && part ready_made 30 ready_made_programs; then
  ready_made=1
  folders=$(library_folders)
  export LD_LIBRARY_PATH=$folders${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
elif part configure 120 configure; then
  part build 300 build_those_of operator_tests_cuda golden_replay_cuda sea_command step_bench
fi
if [ "$has_gpu" -eq 1 ]; then
  part operator_tests 150 operator_tests
  part golden 60 golden "$SEA_SHARED/golden"
  for cases in golden_baselines golden_company_first golden_company_second; do
    part "$cases" 30 golden "$SEA_SHARED/$cases"
  done
  if [ -d "$SEA_SHARED/datasets/baby" ]; then
    part baby_data 90 make_data "$data/baby" --like "$SEA_SHARED/datasets/baby"
  else
    part baby_data 90 make_data "$data/baby" --preset baby
  fi
  # What the settings alone can tell, each after a second of warm-up.
  part step_seaa 40 step_benchmark seaa
  part step_float32 40 step_benchmark float32 matmul_precision=float32
  part step_tf32x3 40 step_benchmark tf32x3 matmul_precision=tf32x3
  part step_tf32 40 step_benchmark tf32 matmul_precision=tf32
  part step_one_fit 40 step_benchmark one_fit club_steps=1
  part step_seab 40 step_benchmark seab distance=l2
  part step_no_alignment 40 step_benchmark no_alignment align=none
  part step_one_stream 40 step_benchmark one_stream SEA_STREAMS=0
  part step_profile 40 step_benchmark profile --profile
  part build_probes 120 build_those_of gpu_probes variants
  part probes 45 probes
  part predictions 10 predictions
  part variants 60 variants
  part small_data 60 make_data "$data/small" --preset small
  part train_small_seaa 60 train "$data/small" 3 solosim club
  part train_small_seab 60 train "$data/small" 3 solosim l2
  part train_baby_seaa 90 train "$data/baby" 3 solosim club
  part train_baby_seab 90 train "$data/baby" 3 solosim l2
  part memcheck 60 sanitize memcheck
  part build_benchmarks 120 build_those_of sea_bench efficiency_table
  part operator_benchmarks 90 operator_benchmarks
  part efficiency_table 60 efficiency_table
  part racecheck 45 sanitize racecheck
  part synccheck 45 sanitize synccheck
  part initcheck 45 sanitize initcheck
fi
part kernel_resources 60 kernel_resources

if [ "$has_gpu" -eq 0 ]; then
  echo "error: no GPU is here; only what needs none has run" | tee -a "$log" >&2
  exit 1
fi
for name in operator_tests golden golden_baselines golden_company_first golden_company_second; do
  if [ "${verdict_of[$name]}" != passed ]; then
    echo "error: $name: ${verdict_of[$name]}; without it nothing is shown; see $out/gpu_check.json" >&2
    exit 1
  fi
done
if [ "$failed_part" -ne 0 ]; then
  echo "error: a part failed; see $out/gpu_check.json" >&2
  exit 1
fi
if [ "$missed_part" -ne 0 ]; then echo "note: some parts could not run; see $out/gpu_check.json" >&2; fi
