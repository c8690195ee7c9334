#!/usr/bin/env bash
# Everything about this report that wants a GPU, in one go: the reference run with five seeds, the speed benchmark, the
# studies at full length, and every chapter executed on them. After each part the results so far are packed into OUT.
# What is done is not done again: the same command goes on after an interruption. Where the time ends before the chapters
# are executed, unpack what was measured and do it elsewhere: gradcam-report publish runs/gpu/reference needs no GPU.
#
#   scripts/gpu.sh [OUT]      OUT: a folder for the results, packed into pieces of at most 15 MB (default runs/gpu/out)
#   LIMIT=570 scripts/gpu.sh OUT      stops in time, for a machine that gives only so many seconds to a command
#   REHEARSE=1 scripts/gpu.sh OUT      the same parts in minutes on a CPU, on drawn images, publishing nothing
#
# CIFAR10_ROOT names the folder that holds cifar-10-batches-py, HUMAN_LABELS_ROOT that of people's votes, PYTHON the
# interpreter (default: .venv/bin/python). Results are kept in runs/gpu; STUDY_SEEDS (default 1) trains more of each point.
# Needs Linux, for timeout.
set -euo pipefail
shopt -s nullglob
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=runs/gpu
sizes=() point=(--train-size 0 --epochs 20 --seeds "${STUDY_SEEDS:-1}") seeds=5
block=(--batch 500 --steps 100 --test-images 10000 --repeats 5 --workers 8 --explained 256)
if [[ -n "${REHEARSE:-}" ]]; then
  work=runs/rehearsal seeds=2
  sizes=(-p dataset=shapes -p train_size=64 -p test_size=40 -p batch_size=32 -p iterations=20 -p epochs=1)
  point=(--dataset shapes --train-size 64 --val-size 32 --epochs 1 --seeds 1)
  block=(--batch 8 --steps 1 --test-images 16 --repeats 1 --workers 0 --explained 4 --rest 0)
fi
out="${1:-$work/out}"
python="${PYTHON:-.venv/bin/python}"
run=$work/reference pieces=$work/pieces
deadline=$((SECONDS + ${LIMIT:-1000000} - 20)) # what is left is for packing
mkdir -p "$out" "$pieces"
log() { printf '%s %s\n' "$(date -u +%H:%M:%S)" "$*" | tee -a "$work/times.txt"; }

# pack NAME PATH...: kept in runs/gpu too, so that every call can hand over all there is.
pack() {
  local name=$1
  shift
  rm -f "$pieces/$name".tar.*
  tar -cf - "$@" | split -b 15000000 -d - "$pieces/$name.tar."
}
# All that was measured, but no checkpoints; of the networks the first seed's, until it is among what is published.
hand_over() {
  local heavy=('seed-*/model.safetensors' 'seed-*/features.npz')
  [[ ! -e "$pieces/published.tar.00" ]] || heavy+=("$run/model.safetensors" "$run/features.npz")
  pack measured --exclude='checkpoint*' "${heavy[@]/#/--exclude=}" --exclude="$work/out" --exclude="$pieces" "$work"
  rm -f "$out"/*.tar.*
  cp "$pieces"/* "$out"
}
trap hand_over EXIT

# step NAME COMMAND...: once, within the time that is left; what takes longer goes on at the next call.
step() {
  local name=$1 status=0
  shift
  [[ ! -e "$work/$name.done" ]] || return 0
  ((SECONDS < deadline)) || over "$name"
  log "$name"
  timeout --foreground -k 10 $((deadline - SECONDS)) "$python" "$@" || status=$?
  ((status == 0 || SECONDS < deadline)) || over "$name"
  ((status == 0)) || return "$status"
  [[ "$name" != publish ]] || pack published artifacts/reference book/*.ipynb benchmarks/*.json
  touch "$work/$name.done"
  hand_over
}
over() {
  log "the time is up in the part $1; give the same command again to go on"
  exit 3
}

[[ -e "$work/publish.done" ]] || [[ -n "${REHEARSE:-}" ]] || "$python" scripts/gpu_ready.py
step lr_finder -m gradcam_report run --params params/full.yaml --run-dir "$run" --only lr_finder --no-site "${sizes[@]}"
step training -m gradcam_report run --params params/full.yaml --run-dir "$run" --only training --no-site "${sizes[@]}" \
  -p "seeds=$seeds"
[[ -e "$work/results.json" ]] || cp benchmarks/results.json "$work/results.json" # what else was measured stays in it
if [[ -z "${REHEARSE:-}" || -n "${CIFAR10_ROOT:-}" ]]; then
  step speed benchmarks/speed.py "${block[@]}" --out "$work/results.json" || log "speed was not measured"
fi
for study in max_lr ablation; do
  step "$study" benchmarks/study.py "$study" "${point[@]}" --out "$work/$study-full.json" || log "$study failed"
done
if [[ -z "${REHEARSE:-}" ]]; then
  cp "$work/results.json" benchmarks/
  for study in max_lr ablation; do
    [[ ! -e "$work/$study.done" ]] || cp "$work/$study-full.json" benchmarks/ # not half a study
  done
  step publish -m gradcam_report publish "$run"
fi
log "done: for name in published measured; do cat $out/\$name.tar.* | tar -x; done"
