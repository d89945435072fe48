#!/usr/bin/env bash
# Trains three tiny runs, makes their report twice, and opens it in headless Chromium at 400 and 1,600 pixels, light and
# dark (report_browser.py); shows first that a broken page is found out. Then the paper's figures of the same runs.
#
#   bash tests/report.sh BUILD_FOLDER [SCREENSHOTS]
set -euo pipefail
# shellcheck source=apps/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../apps/setup.sh"

sea=$1/bin/sea
screenshots=${2:-}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
install_packages "${report_packages[@]}"
python=/usr/bin/python3  # Debian's, which has Debian's packages

train() {
  local run=$1
  shift
  with_log "training $run" "$sea" train "$scratch/shop" --output "$scratch/$run" --epochs 4 --quiet \
    --set embedding_size=8 --set train_batch_size=256 --set learning_rate=0.01 --set knn_k=5 "$@"
}
with_log "making data" "$sea" synth "$scratch/shop" --users 150 --items 80 --interactions 1700 --visual-dim 16 \
  --textual-dim 16
printf '150\t0\t2\n' >>"$scratch/shop/shop.inter"  # of a user without a training pair: dropped, and not counted
train sea --set club_steps=5
train plain --set align=none --set distance=none
train micro --model micro --set eval_step=1
runs=("$scratch/sea" "$scratch/plain" "MICRO & <others>=$scratch/micro")
for page in first second; do
  "$python" -B "$repository/apps/report.py" "${runs[@]}" --output "$scratch/$page.html" --sea "$sea"
done
cmp "$scratch/first.html" "$scratch/second.html" || fail "two reports of the same runs differ"
counts=$("$sea" info "$scratch/shop" 2>/dev/null |
  awk '/^valid / { valid = $2 } /^test / { print valid " for validation, " $2 " for test." }')
[ -n "$counts" ] && grep -qF "$counts" "$scratch/first.html" ||
  fail "the report counts other held-out pairs than sea info"

# A tick's label says where the tick is, to the last digit.
"$python" -B - "$repository/apps" <<'END' || fail "labels of ticks are not what they were"
import sys
sys.path.insert(0, sys.argv[1])
from reporting import svg
figure, (axis,) = svg.make_figure()
axis.set_yticks([0.0155, 0.12345], ["0.01550", "0.12345"])
text = svg.to_svg(figure, "ticks", "ticks")
assert ">0.01550<" in text and ">0.12345<" in text
END

for number in 3 4 5 6; do
  case $number in
    3) of=("$scratch/sea" "$scratch/plain") ;;
    4)
      with_log "searching" "$sea" tune "$scratch/shop" --grid alpha=0.01,0.1 --output "$scratch/search" --epochs 2 \
        --quiet --set embedding_size=8 --set knn_k=5 --set club_steps=5
      of=("$scratch/search")
      ;;
    5) of=("$scratch/micro" --sea "$sea") ;;
    6) of=("$scratch/sea" --sea "$sea") ;;
  esac
  "$python" -B "$repository/bench/figures.py" "$number" "${of[@]}" --output "$scratch/$number.svg" --print \
    >"$scratch/$number.tsv"
  [ -s "$scratch/$number.tsv" ] || fail "figure $number prints no number"
  "$python" -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$scratch/$number.svg" ||
    fail "figure $number is no XML"
done

if ! (install_packages "${browser_packages[@]}"); then
  echo "skipped 1: chromium cannot be installed: the report is not opened in a browser"
  exit 0
fi
cat >"$scratch/broken.html" <<END
<!DOCTYPE html><title>broken</title><body style="background: white; color: #aaaaaa"><script>nothing()</script>
<div style="width: 2000px">wide</div><img src="missing.png"><p>grey on white</p><figure><h3>two</h3>
<svg viewBox="0 0 400 200" width="400" height="200"><text x="20" y="50">one label</text><text x="40" y="52">another</text>
<text x="380" y="150">a label that is cut off</text></svg></figure>
END
if "$python" -B "$repository/tests/report_browser.py" "$scratch/broken.html" --figures 2 >"$scratch/faults"; then
  fail "a broken page is not found out"
fi
for fault in "exception" "fetched: .*missing.png" "on top of 'another'" "cut off: 'a label" "hard to read: 'grey" \
  "the page is 2[0-9]* pixels wide" "1 figures, not 2"; do
  grep -q "^error: 400 pixels, dark: $fault" "$scratch/faults" || fail "not found out in a broken page: $fault"
done
# 2 learning curves, 7 metrics and their groups, 8 loss terms, differences, the tail, 4 spaces of parts.
"$python" -B "$repository/tests/report_browser.py" "$scratch/first.html" --figures 24 \
  ${screenshots:+--screenshots "$screenshots"}
