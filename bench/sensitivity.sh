#!/usr/bin/env bash
# How much the result depends on alpha, beta and temperature (the paper's Figure 4): a search over each, the others at
# their defaults, and one picture of three panels, OUTPUT/sensitivity.svg. Installs what is missing and builds. Run again
# after an interruption, it goes on where it was.
#
#   bash bench/sensitivity.sh DATA OUTPUT [--alpha v1,v2,...] [--beta v1,v2,...] [--temperature v1,v2,...]
#                             [OPTION OF sea tune]...
#
# Other options (--set, --jobs, --seed, --epochs, --device, ...) go to `sea tune` as they are.
set -euo pipefail
# shellcheck source=apps/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../apps/setup.sh"

usage_error() {
  echo "error: $*; see --help" >&2
  exit 2
}

declare -A grids=(
  [alpha]=0,0.003,0.006,0.012,0.024,0.048,0.096
  [beta]=0,0.0015,0.003,0.006,0.012,0.024,0.048
  [temperature]=0.025,0.035,0.046,0.07,0.1,0.2,0.5
)
positional=()
more=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help)
      sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    --alpha | --beta | --temperature)
      grids[${1#--}]=${2:?error: $1 takes values, as in 0.01,0.1}
      shift 2
      ;;
    --quiet)
      more+=("$1")
      shift
      ;;
    --grid | --output | --resume) usage_error "$1 is said by this script itself" ;;
    --*)
      more+=("$1" "${2?error: $1 takes a value}")
      shift 2
      ;;
    *)
      positional+=("$1")
      shift
      ;;
  esac
done
[ ${#positional[@]} -eq 2 ] || usage_error "it takes two arguments, DATA and OUTPUT"
data=${positional[0]}
output=${positional[1]}

install_packages "${build_packages[@]}" "${plot_packages[@]}"
build_project release sea_command
python=python3
"$python" -c 'import matplotlib' 2>/dev/null || python=/usr/bin/python3

for key in alpha beta temperature; do
  "$(build_folder release)/bin/sea" tune "$data" --output "$output/$key" --grid "$key=${grids[$key]}" --resume \
    ${more[@]+"${more[@]}"}
done
"$python" "$repository/bench/plot_tune.py" "$output/alpha" "$output/beta" "$output/temperature" \
  --output "$output/sensitivity.svg"
echo "$output/sensitivity.svg"
