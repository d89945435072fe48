#!/usr/bin/env bash
# Tests bench/gpu_check.sh where there is no GPU: its parts, their order, the figures and the verdicts on predictions, with
# programs that print what those on a GPU would.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
copy=$scratch/copy tools=$scratch/tools bin=$scratch/copy/build-gpu/bin
cases=(golden golden_baselines golden_company_first golden_company_second)
mkdir -p "$copy/bench/results" "$tools" "$bin" "$copy/build-gpu/kernels" "${cases[@]/#/$copy/bench/gpu_pack/shared/}"
cp "$repository/bench/gpu_check.sh" "$repository/bench/source_checksum.sh" "$copy/bench/"
mkdir "$copy"/{apps,host,include,kernels,tests} && touch "$copy/CMakeLists.txt" "$copy/CMakePresets.json"
cat >"$copy/bench/results/predicted_step_h200.json" <<'END'
{
  "steps": [
    {
      "size": "sports",
      "predicted_step_us": 3000.0
    },
    {
      "size": "baby",
      "predicted_step_us": 1500.0,
      "sharing_multiprocessors_us": 2000.0
    }
  ]
}
END
echo 'echo "| kernel |"' >"$copy/bench/kernel_resources.sh"

# program FILE: a program whose text comes from the standard input.
program() {
  { echo '#!/bin/sh'; cat; } >"$1"
  chmod +x "$1"
}
program "$tools/nvidia-smi" <<'END'
case "$*" in
  -L) echo 'GPU 0: made up' ;;
  *name*) echo 'made up' ;;
  *) echo 1.2 ;;
esac
END
program "$tools/cmake" <<'END'
case "$*" in *help*) echo '... operator_tests_cuda' && echo '... step_bench' ;; esac
END
program "$tools/compute-sanitizer" <<'END'
exit 0
END
program "$bin/operator_tests_cuda" <<'END'
case "$FAILING:$*" in
  *list*) printf 'one test\nanother, test\n' ;;
  yes: | 'yes:another\, test') echo 'a fault' && echo 'test cases: 3 | 1 passed | 2 failed' && exit 1 ;;
  *) echo 'All tests passed (12 assertions in 3 test cases)' && echo 'tests skipped: 0' ;;
esac
END
program "$bin/golden_replay_cuda" <<'END'
echo "$1"
echo 'group ok'
END
program "$bin/sea" <<'END'
case $1 in
  synth) mkdir -p "$2" ;;
  train)
    while [ "$1" != --output ]; do shift; done
    mkdir -p "$2"
    echo '{"total": 1.5, "recall@20": 0.1}' >"$2/metrics.jsonl"
    ;;
esac
END
program "$bin/step_bench" <<'END'
echo "$SEA_STREAMS $*"
while [ "$1" != --json ]; do shift; done
printf '{\n "seconds_per_step_median": 0.0016,\n "steps": 1000\n}\n' >"$2"
END
program "$bin/gpu_probes" <<'END'
echo 'graph_gap_us 2.4 1.2'
echo 'l2_gather_baby_bytes_per_us 2.0e6 5.5e6'
END
program "$bin/variants" <<'END'
echo 'tower.64x64_3.parts_1 3.5'
echo 'winner.large 128x128_3'
echo '#pragma once' >"$1"
END

# check NAME [VARIABLE=VALUE]: into $scratch/NAME; its exit code in $scratch/NAME/status
check() {
  local status=0
  env PATH="$tools:/usr/bin:/bin" SEA_SHARED= "${@:2}" bash "$copy/bench/gpu_check.sh" "$scratch/$1" \
    >>"$scratch/printed" 2>&1 || status=$?
  echo "$status" >"$scratch/$1/status"
}
check out FAILING=
check failing FAILING=yes
touch "$copy/bench/gpu_pack/programs.tar.xz"
echo 90 >"$copy/bench/gpu_pack/programs_for"
check others FAILING=
echo 12 >"$copy/bench/gpu_pack/programs_for"
bash "$copy/bench/source_checksum.sh" >"$copy/bench/gpu_pack/programs_of"
check ready FAILING=
echo "// changed" >"$copy/kernels/some.cu"
check changed FAILING=
python3 - "$scratch" <<'END' || { cat "$scratch/printed"; exit 1; }
import json
import pathlib
import sys


def read(name):
    report = json.loads((scratch / name / "gpu_check.json").read_text())
    return report, {part["name"]: part for part in report["parts"]}, int((scratch / name / "status").read_text())


scratch = pathlib.Path(sys.argv[1])
out = scratch / "out"
report, parts, status = read("out")
assert status == 0, status
assert report["gpu"] == "made up"
failed = [name for name, part in parts.items() if part["status"] == "failed"]
assert not failed, failed
names = list(parts)
for name in ("golden", "golden_baselines", "golden_company_first", "golden_company_second"):
    assert parts[name]["figures"] == {"groups_within_bounds": 1, "groups_past_a_bound": 0}, parts[name]
    assert parts[name]["log_tail"].splitlines()[0].endswith("/bench/gpu_pack/shared/" + name), parts[name]
assert names.index("operator_tests") < names.index("step_seaa") < names.index("probes") < names.index("memcheck"), names
expected = {
    "step_seaa": {"seconds_per_step_median": 0.0016, "steps": 1000, "step_us": 1600, "step_us.predicted": 1500,
                  "step_us.prediction": "right", "step_sharing_multiprocessors_us": 1600,
                  "step_sharing_multiprocessors_us.predicted": 2000,
                  "step_sharing_multiprocessors_us.prediction": "right"},
    "step_float32": {"seconds_per_step_median": 0.0016, "steps": 1000},
    "probes": {"graph_gap_us": 2.4, "graph_gap_us.predicted": 1.2, "graph_gap_us.prediction": "too low",
               "l2_gather_baby_bytes_per_us": 2.0e6, "l2_gather_baby_bytes_per_us.predicted": 5.5e6,
               "l2_gather_baby_bytes_per_us.prediction": "too high"},
    "predictions": {"right": 2, "too_low": 1, "too_high": 1},
    "variants": {"tower.64x64_3.parts_1": 3.5, "winner.large": "128x128_3"},
    "train_baby_seaa": {"total": 1.5, "recall@20": 0.1},
    "memcheck": {"tests": 2, "tests_clean": 2, "tests_with_errors": 0},
}
for name, figures in expected.items():
    assert parts[name]["figures"] == figures, (name, parts[name]["figures"])
for name, words in {"step_float32": " {data} --device cuda --set matmul_precision=float32 --json",
                    "step_one_stream": "0 {data} --device cuda --json", "step_profile": "--device cuda --profile --json"}.items():
    tail = parts[name]["log_tail"]
    assert all(word in tail for word in words.split("{data}")), (name, tail)
assert (out / "tuned.cuh").read_text() == "#pragma once\n"
steps = json.loads((out / "step_bench.json").read_text())
assert steps["seaa"] == {"seconds_per_step_median": 0.0016, "steps": 1000} and len(steps) == 9, steps
# Few enough files to be taken along one by one.
assert len(list(out.iterdir())) <= 9, list(out.iterdir())

_, parts, status = read("failing")
assert status == 1, status
assert parts["operator_tests"]["status"] == "failed"
assert parts["operator_tests"]["figures"] == {"test_cases": 3, "test_cases_failed": 2, "test_cases_failed_alone": 1}, parts["operator_tests"]
assert "FAILED ALONE: another, test" in parts["operator_tests"]["log_tail"], parts["operator_tests"]

_, parts, status = read("others")
assert status == 0 and parts["ready_made"]["status"] == "unavailable", parts["ready_made"]
assert "are for compute capability 90, this GPU has 12" in parts["ready_made"]["log_tail"], parts["ready_made"]
assert parts["build"]["log_tail"] == "", parts["build"]

_, parts, status = read("ready")
assert status == 0 and parts["ready_made"]["status"] == "passed" and "build" not in parts, parts.keys()
assert parts["build_probes"]["log_tail"] == "ready made", parts["build_probes"]

_, parts, status = read("changed")
assert status == 0 and "are of other sources" in parts["ready_made"]["log_tail"], parts["ready_made"]
assert parts["build"]["status"] == "passed", parts["build"]
END
echo "gpu_check.sh: passed"
