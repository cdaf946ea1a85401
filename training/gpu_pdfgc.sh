#!/usr/bin/env bash
# Trains PD-FGC on drawn clips in calls of at most seven minutes (docs/gpu.md, row 8), each of which goes on where the last ended:
#   pretrain   what sees, what draws, and an observer (what sees, of the next seed), side by side, then the first two together;
#              more of that with every further call
#   stages     1, 2 and 3 upon that
#   ablations  3 with decorrelation and without, as many steps each, both from an expression head that begins untaught
# Usage: [OUT=DIR] [RUNS=DIR] [DEVICE=cuda] [WIDTHS=pdfgc-lite] [SIZE=112] [BATCH=192] [WORKERS=14] [SEED=1] [THREADS=2] [PACE=1] [PYTHON=python3]
#        training/gpu_pdfgc.sh pretrain|stages|ablations PACK
# PACK: of pack-factorial. RUNS: all run folders. OUT: averaged weights, figures and the last samples. PACE: times longer.
set -euo pipefail
shopt -s inherit_errexit
what=${1:?pretrain, stages or ablations} pack=${2:?a pack of pack-factorial}
out=${OUT:-out/gpu} runs=${RUNS:-/tmp/pdfgc} python=${PYTHON:-python3}
batch=${BATCH:-192} workers=${WORKERS:-14} seed=${SEED:-1}
first=0.5 # minutes of a run by which the rest of it is planned
mkdir -p "$out" "$runs"

train() { # NAME STEPS OPTION...
	local name=$1 steps=$2
	shift 2
	"$python" -u -m training pdfgc --widths "${WIDTHS:-pdfgc-lite}" --size "${SIZE:-112}" --data "$pack" --half \
		--device "${DEVICE:-cuda}" --seed "$seed" --threads "${THREADS:-2}" --workers "$workers" --out "$runs/$name" --steps "$steps" --save-every 1000 --show-every 2000 "$@"
}

run() { # NAME MINUTE OPTION...: to that minute of the call; its rate falls to nothing by then, and at the latest it stops a tenth after
	local name=$1 minute=$2
	shift 2
	begin "$name" "$minute" 1 "$@"
	train "$name" "$steps" --minutes "$minutes" --resume "$@"
}

begin() { # NAME MINUTE COUNT OPTION...: sets steps, of each of so many runs until that minute, and minutes, the most that it may go on
	local name=$1 minute=$2 count=$3 began=$SECONDS planned
	shift 3
	rm -rf "${runs:?}/$name"
	train "$name" 1000000 --minutes "$first" "$@"
	planned=$(plan "$(last_sheet "$name")" "$((SECONDS - began))" "$minute" "$count")
	read -r steps minutes <<<"$planned"
}

plan() { # SHEET SECONDS MINUTE COUNT: after a first part that took so long
	# its batches are all counted as made in that time: those made ahead cannot make it look faster than what makes them
	"$python" - "$@" "$SECONDS" "$first" "${PACE:-1}" <<-'PYTHON'
		import sys
		from pathlib import Path
		done = int(Path(sys.argv[1]).stem)
		took, minute, count, now, first, pace = map(float, sys.argv[2:])
		start = max(took - 60 * first, 0)  # Python, the device, data, what is kept at the end
		left = max(60 * pace * minute - now - count * start, 0)
		print(max(int((done + left * done / (60 * first)) / count), done + 1), 1.1 * left / 60 + 0.05)
	PYTHON
}

last_sheet() { # NAME
	find "$runs/$1/samples" -name '*.png' | sort | tail -1
}

figures() { # NAME
	mkdir -p "$out/$1"
	touch "$runs/$1/stats.jsonl" # of fewer steps than it tells of at a time
	cp "$runs/$1/stats.jsonl" "$out/$1/"
}

keep() { # NAME: what others begin with, and how it was made; eight files come back from a call
	figures "$1"
	cp "$runs/$1/pdfgc.safetensors" "$runs/$1/options.json" "$out/$1/"
}

show() { # NAME: what can be seen of it
	cp "$(last_sheet "$1")" "$out/$1/samples.png"
}

case $what in
pretrain)
	if [ -e "$runs/together/pdfgc.safetensors" ]; then
		run more 7 --stage pretrain --adversarial --batch "$batch" --start "$runs/together" --motion "$runs/together"
		rm -r "$runs/together"
		mv "$runs/more" "$runs/together"
	else
		beside=(--batch "$batch" --workers $(((workers + 2) / 3)))
		run sees 3 --stage pretrain-motion "${beside[@]}" &
		sees=$!
		{
			run observer 3 --stage pretrain-motion "${beside[@]}" --seed $((seed + 1))
			keep observer
		} &
		observer=$!
		run draws 3 --stage pretrain-drawing "${beside[@]}"
		figures draws
		wait "$sees"
		wait "$observer"
		run together 7 --stage pretrain --adversarial --batch "$batch" --start "$runs/draws" --motion "$runs/sees"
	fi
	keep together
	show together
	;;
stages)
	run 1 2.2 --stage 1 --batch "$batch" --start "$runs/together" --observer "$runs/together"
	figures 1
	run 2 3.6 --stage 2 --batch "$batch" --start "$runs/1"
	keep 2
	run 3 7 --stage 3 --batch $((batch / 2)) --start "$runs/2" --generator "$runs/together" --observer "$runs/together"
	keep 3
	show 3
	;;
ablations)
	options=(--stage 3 --expression-anew --batch $((batch / 2)) --start "$runs/2" --generator "$runs/together" --observer "$runs/together")
	begin 3-all 6 2 --ablation all "${options[@]}" # earlier: what has to be of as many steps is not stopped
	train 3-all "$steps" --resume --ablation all "${options[@]}"
	keep 3-all
	show 3-all
	rm -rf "$runs/3-none"
	train 3-none "$steps" --ablation none "${options[@]}"
	keep 3-none
	show 3-none
	;;
*)
	echo "gpu_pdfgc.sh: there is no '$what'; there are pretrain, stages, ablations" >&2
	exit 2
	;;
esac
