#!/usr/bin/env bash
# Times a training step of SEA here and in PyTorch (bench/baselines/sea_pytorch.py, eager, or sea_pytorch_strong.py): the
# same data, settings and threads, a fresh process for each turn, turns alternating. With --evaluation: the evaluation of
# all users, here and as MMRec does it (lightgcn_pytorch.py). With --model: a whole epoch of another model, here and as
# MMRec has it (company_pytorch.py). Installs what is missing and builds. On a machine that is busy with other work it
# prints its table and fails: such times are invalid; --busy lets them stand as upper bounds.
#
#   bash bench/compare_pytorch.sh [--opponent eager|strong] [--evaluation] [--device cpu|cuda] [--threads N]
#                                 [--steps N] [--warmup N] [--rounds N] [--data DIR]...
#                                 [--variant SEAa|SEAb|SEAc|SEAd | --model lattice|mmgcn|bm3] [--set key=value]...
#                                 [--busy] [--json FILE]
#
# --steps (10, on a GPU 200) also counts evaluations, and epochs (1). --device cuda takes the python3 on the PATH, with a
# PyTorch that sees a GPU. Without --data it makes synthetic data of Baby's size (19,445 users, 7,050 items, features 4096
# and 384 wide).
set -euo pipefail
# shellcheck source=apps/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../apps/setup.sh"

usage_error() {
  echo "error: $*; see --help" >&2
  exit 2
}

threads=$(nproc)
steps=
warmup=
rounds=2
variant=SEAa
opponent=eager
model=
busy=()
what=step
device=cpu
json=
folders=()
settings=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help)
      sed -n '2,16s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    --threads | --steps | --warmup | --rounds)
      [[ ${2:-} =~ ^[0-9]+$ ]] || usage_error "$1 takes a number, not '${2:-}'"
      printf -v "${1#--}" '%s' "$2"
      ;;
    --data) folders+=("${2:?error: --data takes a folder}") ;;
    --variant) variant=${2:-} ;;
    --opponent)
      case ${2:-} in eager | strong) opponent=$2 ;; *) usage_error "--opponent is eager or strong, not '${2:-}'" ;; esac
      ;;
    --device)
      case ${2:-} in cpu | cuda) device=$2 ;; *) usage_error "--device is cpu or cuda, not '${2:-}'" ;; esac
      ;;
    --evaluation)
      what=evaluation
      shift
      continue
      ;;
    --model)
      case ${2:-} in
        lattice | mmgcn | bm3) model=$2 ;;
        *) usage_error "--model is lattice, mmgcn or bm3, not '${2:-}'" ;;
      esac
      ;;
    --busy)
      busy=(--busy)
      shift
      continue
      ;;
    --set) settings+=(--set "${2:-}") ;;
    --json) json=${2:?error: --json takes a file} ;;
    *) usage_error "unknown option '$1'" ;;
  esac
  shift 2
done
if [ -n "$model" ]; then
  if [ "$what" = evaluation ] || [ "$opponent" = strong ]; then
    usage_error "--model goes with neither --evaluation nor --opponent strong"
  fi
  what=epoch variant=$model
fi
if [ "$device" = cuda ] && [ "$what" = step ]; then  # a GPU needs about a second to reach its clock
  steps=${steps:-200} warmup=${warmup:-20}
fi
if [ "$what" = epoch ]; then steps=${steps:-1} warmup=${warmup:-1}; fi
steps=${steps:-10} warmup=${warmup:-2}
if [ "$threads" -lt 1 ] || [ "$steps" -lt 1 ] || [ "$rounds" -lt 1 ]; then usage_error "a count is below 1"; fi
case ${model:+model}${model:-${variant,,}} in
  model*) ;;
  seaa) settings=(--set align=solosim --set distance=club "${settings[@]}") ;;
  seab) settings=(--set align=solosim --set distance=l2 "${settings[@]}") ;;
  seac) settings=(--set align=infonce --set distance=club "${settings[@]}") ;;
  sead) settings=(--set align=infonce --set distance=l2 "${settings[@]}") ;;
  *) usage_error "--variant is SEAa, SEAb, SEAc or SEAd, not '$variant'" ;;
esac

install_packages "${build_packages[@]}" "${torch_packages[@]}"
build_project release -DSEA_BENCH=ON sea_command step_bench
bin=$(build_folder release)/bin
python=python3
"$python" -c 'import torch, numpy' 2>/dev/null || python=/usr/bin/python3

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [ ${#folders[@]} -eq 0 ]; then
  echo "making data of Baby's size" >&2
  "$bin/sea" synth "$scratch/baby" --preset baby >&2
  folders=("$scratch/baby")
fi

theirs="$python '$repository/bench/baselines/sea_pytorch.py' --opponent $opponent"
if [ "$what" = epoch ]; then theirs="$python '$repository/bench/baselines/company_pytorch.py' --model $model"; fi
if [ "$what" = evaluation ]; then theirs="$python '$repository/bench/baselines/lightgcn_pytorch.py'"; fi
"$python" "$repository/bench/baselines/comparison.py" --what "$what" --variant "$variant" --device "$device" \
  --threads "$threads" --count "$steps" --warmup "$warmup" --rounds "$rounds" "${busy[@]}" "${settings[@]}" \
  ${json:+--json "$json"} --ours "'$bin/step_bench'${model:+ --model $model}" --theirs "$theirs" "${folders[@]}"
