#!/usr/bin/env bash
# Trains PD-FGC on drawn clips in calls of less than ten minutes (docs/gpu.md, row 8), each of which goes on where the last ended:
#   pretrain   what sees and what draws, side by side, then both together; more of it with every further call
#   stages     1, 2 and 3 upon that
#   ablations  3 with decorrelation and without, as many steps each, both from an expression head that begins untaught
# Usage: [OUT=DIR] [RUNS=DIR] [DEVICE=cuda] [WIDTHS=pdfgc-lite] [SIZE=112] [BATCH=192] [WORKERS=14] [SEED=1] [THREADS=2] [PACE=1] [PYTHON=python3]
#        training/gpu_pdfgc.sh pretrain|stages|ablations PACK
# PACK: of pack-factorial. RUNS: all run folders. OUT: averaged weights, figures and the last samples. PACE: times longer.
set -euo pipefail
shopt -s inherit_errexit
what=${1:?pretrain, stages or ablations} pack=${2:?a pack of pack-factorial}
out=${OUT:-out/gpu} runs=${RUNS:-/tmp/pdfgc} python=${PYTHON:-python3}
mkdir -p "$out" "$runs"

train() { # NAME STEPS OPTION...
	local name=$1 steps=$2
	shift 2
	rm -rf "${runs:?}/$name"
	"$python" -u -m training pdfgc --widths "${WIDTHS:-pdfgc-lite}" --size "${SIZE:-112}" --data "$pack" --half \
		--device "${DEVICE:-cuda}" --seed "${SEED:-1}" --threads "${THREADS:-2}" --workers "$workers" --out "$runs/$name" --steps "$steps" --save-every 1000 --show-every 2000 "$@"
}

steps_in() { # NAME MINUTES OPTION...: how many there is time for, so that the rate can fall to nothing at the end
	local name=$1 minutes=$2
	shift 2
	train "$name.probe" 100 "$@" >/dev/null
	"$python" - "$runs/$name.probe/stats.jsonl" "$minutes" "${PACE:-1}" <<-'PYTHON'
		import json, sys
		last = json.loads(open(sys.argv[1]).read().splitlines()[-1])
		print(max(int(float(sys.argv[2]) * float(sys.argv[3]) * 60_000 / last["ms_per_step"]), 100))
	PYTHON
	rm -r "$runs/$name.probe"
}

run() { # NAME MINUTES OPTION...
	local steps
	steps=$(steps_in "$@")
	train "$1" "$steps" "${@:3}"
	mkdir -p "$out/$1"
	cp "$runs/$1/stats.jsonl" "$out/$1/"
}

keep() { # NAME: what goes on from it, and what can be seen of it (eight files come back from a call)
	mkdir -p "$out/$1"
	cp "$runs/$1/pdfgc.safetensors" "$runs/$1/stats.jsonl" "$out/$1/"
	cp "$(find "$runs/$1/samples" -name '*.png' | sort | tail -1)" "$out/$1/samples.png"
}

batch=${BATCH:-192} workers=${WORKERS:-14}
case $what in
pretrain)
	if [ -e "$runs/together/pdfgc.safetensors" ]; then
		run more 8 --stage pretrain --adversarial --batch "$batch" --start "$runs/together" --motion "$runs/together"
		rm -r "$runs/together"
		mv "$runs/more" "$runs/together"
	else
		run sees 3 --stage pretrain-motion --batch "$batch" --workers $(((workers + 1) / 2)) &
		run draws 3 --stage pretrain-drawing --batch "$batch" --workers $(((workers + 1) / 2))
		wait $!
		run together 4.5 --stage pretrain --adversarial --batch "$batch" --start "$runs/draws" --motion "$runs/sees"
	fi
	keep together
	;;
stages)
	run 1 2.5 --stage 1 --batch "$batch" --start "$runs/together" --observer "$runs/together"
	run 2 1.5 --stage 2 --batch "$batch" --start "$runs/1"
	keep 2
	run 3 4 --stage 3 --batch $((batch / 2)) --start "$runs/2" --generator "$runs/together" --observer "$runs/together"
	keep 3
	;;
ablations)
	options=(--stage 3 --expression-anew --batch $((batch / 2)) --start "$runs/2" --generator "$runs/together" --observer "$runs/together")
	steps=$(steps_in 3-all 4.2 "${options[@]}")
	for how in all none; do
		train "3-$how" "$steps" --ablation "$how" "${options[@]}"
		keep "3-$how"
	done
	;;
*)
	echo "gpu_pdfgc.sh: there is no '$what'; there are pretrain, stages, ablations" >&2
	exit 2
	;;
esac
