#!/usr/bin/env bash
# Everything about this report that wants a GPU, in one go: the reference run with five seeds, the studies at full
# length, the speed benchmark, and the chapters executed on the result. Trainings that are done are not done again, so
# the same command goes on after an interruption.
#
#   scripts/gpu.sh [OUT]      OUT: a folder for the results, packed into pieces of at most 15 MB (default runs/gpu)
#   REHEARSE=1 scripts/gpu.sh /tmp/out      the same steps in minutes on a CPU, on drawn images, publishing nothing
#
# CIFAR10_ROOT names the folder that holds cifar-10-batches-py. PYTHON names the interpreter (default: .venv/bin/python).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out="${1:-runs/gpu}"
python="${PYTHON:-.venv/bin/python}"
mkdir -p "$out" runs
log() { printf '%s %s\n' "$(date -u +%H:%M:%S)" "$*" | tee -a "$out/times.txt"; }

run=runs/full seeds=5 studies=benchmarks
sizes=() point=(--train-size 0 --epochs 20 --seeds 3) block=(--batch 500 --steps 100 --test-images 10000 --repeats 5 --workers 8 --explained 256)
if [[ -n "${REHEARSE:-}" ]]; then
  run=runs/rehearsal seeds=2 studies=runs/rehearsal
  sizes=(-p dataset=shapes -p train_size=64 -p test_size=40 -p batch_size=32 -p iterations=20 -p epochs=1)
  point=(--dataset shapes --train-size 64 --val-size 32 --epochs 1 --seeds 1)
  block=(--batch 8 --steps 1 --test-images 16 --repeats 1 --workers 0 --explained 4 --rest 0)
fi

"$python" -c 'import torch; print(torch.__version__, torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU")' | tee "$out/device.txt"

for chapter in lr_finder training; do
  log "$chapter"
  "$python" -m gradcam_report run --params params/full.yaml --run-dir "$run" --only "$chapter" --no-site \
    "${sizes[@]}" $([[ "$chapter" == training ]] && echo "-p seeds=$seeds")
done
mkdir -p "$studies"
if [[ -z "${REHEARSE:-}" || -n "${CIFAR10_ROOT:-}" ]]; then
  log speed
  "$python" benchmarks/speed.py "${block[@]}" --out "$studies/results.json"
fi
publish() {
  if [[ -z "${REHEARSE:-}" ]]; then
    log publish
    "$python" -m gradcam_report publish "$run"
  fi
}
publish # before the studies, so that an interruption loses no more than those
for study in max_lr ablation; do
  log "$study"
  "$python" benchmarks/study.py "$study" "${point[@]}" --out "$studies/$study-full.json"
done
log pack
rm -f "$out"/results.tar.*
tar -cf - artifacts/reference book/*.ipynb "$studies"/*.json | split -b 15000000 -d - "$out/results.tar."
log "done: cat $out/results.tar.* | tar -x"
