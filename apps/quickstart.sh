#!/usr/bin/env bash
# From a fresh clone to recommendations: installs what is missing, builds, makes a small synthetic data set, trains SEA
# on it, shows the metrics and recommends for three users.
#
#   bash apps/quickstart.sh [FOLDER]      everything it makes goes to FOLDER, by default runs/quickstart
set -euo pipefail
# shellcheck source=apps/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

case ${1:-} in
  -h | --help)
    sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
  -*)
    echo "error: unknown option '$1'; the only argument is a folder" >&2
    exit 2
    ;;
esac
folder=${1:-$repository/runs/quickstart}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
data=$folder/small

step() {
  printf '\n%s\n' "$*"
}

step "1. Build"
install_packages "${build_packages[@]}"
build_project release sea_command
sea=$(build_folder release)/bin/sea

step "2. Data"
if [ -e "$data/small.inter" ] && [ -e "$data/image_feat.npy" ] && [ -e "$data/text_feat.npy" ]; then
  echo "the data of an earlier run is used again: $data"
else
  "$sea" synth "$data" --preset small
fi
"$sea" info "$data"

step "3. Train SEA"
number=1
while [ -e "$folder/sea-$number" ]; do number=$((number + 1)); done
run=$folder/sea-$number
"$sea" train "$data" --output "$run"

step "4. Recommend for users 0, 1 and 2"
"$sea" recommend "$run" --user 0 1 2 --top-k 5

step "Where everything lies
  the command           $sea
  the data              $data
  the trained model     $run (metrics.jsonl, result.json, best.safetensors)
Next
  $sea recommend $run --all --output recommendations.tsv
  $sea train YOUR_DATA                  the layout of your data: datasets/README.md"
