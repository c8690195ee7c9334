#!/usr/bin/env bash
# Everything about this report that wants a GPU, in one go: the reference run with five seeds, the speed benchmark, the
# studies at full length, and every chapter executed on what came of them. After each part all results so far are packed
# into OUT. What is done is not done again: the same command goes on after an interruption.
#
#   scripts/gpu.sh [OUT]      OUT: a folder for the results, packed into pieces of at most 15 MB (default runs/gpu/out)
#   LIMIT=570 scripts/gpu.sh OUT      stops in time, for a machine that gives only so many seconds to a command
#   REHEARSE=1 scripts/gpu.sh OUT      the same parts in minutes on a CPU, on drawn images, publishing nothing
#
# CIFAR10_ROOT names the folder that holds cifar-10-batches-py, HUMAN_LABELS_ROOT that of people's votes, PYTHON the
# interpreter (default: .venv/bin/python). Results are kept in runs/gpu; STUDY_SEEDS (default 1) trains more of each point.
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
run=$work/reference
deadline=$((SECONDS + ${LIMIT:-1000000}))
mkdir -p "$out" "$work"
log() { printf '%s %s\n' "$(date -u +%H:%M:%S)" "$*" | tee -a "$work/times.txt"; }

# pack [PATH...]: by default all that was measured so far and the network of the first seed, but no checkpoints.
pack() {
  rm -f "$out"/results.tar.*
  cp "$work/times.txt" "$out"
  (($#)) || set -- --exclude='checkpoint*' --exclude='seed-*/model.safetensors' --exclude="$work/out" "$work"
  tar -cf - "$@" | split -b 15000000 -d - "$out/results.tar."
}

# step NAME COMMAND...: once, within the time that is left; what takes longer goes on at the next call.
step() {
  local name=$1 left=$((deadline - SECONDS - 20)) status=0
  shift
  [[ ! -e "$work/$name.done" ]] || return 0
  ((left > 0)) || over "$name"
  log "$name"
  timeout -k 10 "$left" "$python" "$@" || status=$?
  ((status != 124 && status != 137)) || over "$name"
  ((status == 0)) || return "$status"
  touch "$work/$name.done"
}
over() {
  log "the time is up in the part $1; give the same command again to go on"
  pack
  exit 3
}

if [[ -e "$work/publish.done" ]]; then
  echo "Everything is done; for a new run remove $work."
  exit 0
fi
if [[ -z "${REHEARSE:-}" ]]; then
  "$python" scripts/gpu_ready.py
fi
for chapter in lr_finder training; do
  step "$chapter" -m gradcam_report run --params params/full.yaml --run-dir "$run" --only "$chapter" --no-site \
    "${sizes[@]}" $([[ "$chapter" == training ]] && echo "-p seeds=$seeds")
  pack
done
[[ -e "$work/results.json" ]] || cp benchmarks/results.json "$work/results.json" # what else was measured stays in it
if [[ -z "${REHEARSE:-}" || -n "${CIFAR10_ROOT:-}" ]]; then
  step speed benchmarks/speed.py "${block[@]}" --out "$work/results.json" || log "speed was not measured"
  pack
fi
for study in max_lr ablation; do
  step "$study" benchmarks/study.py "$study" "${point[@]}" --out "$work/$study-full.json" || log "$study failed"
  pack
done
if [[ -z "${REHEARSE:-}" ]]; then
  cp "$work/results.json" "$work"/*-full.json benchmarks/
  step publish -m gradcam_report publish "$run"
  pack artifacts/reference book/*.ipynb benchmarks/*.json
fi
log "done: cat $out/results.tar.* | tar -x"
