#!/usr/bin/env bash
# Exports PD-FGC's networks with random weights in FP16 for each batch size, and measures them (docs/gpu.md).
# Usage: [OUT=DIR] [DEVICE=cuda:0] [BATCHES="1 2 4 8 16 32"] [PYTHON=python3] benchmarks/gpu_graphs.sh pdfgc-224|pdfgc-lite
set -euo pipefail
widths=${1:-pdfgc-224}
out=${OUT:-out/gpu}
networks=$out.networks
mkdir -p "$out" "$networks"
python=${PYTHON:-python3}
"$python" - "$widths" "$networks" <<'PYTHON'
import sys
from pathlib import Path

import torch
from export.pdfgc import write_bundle
from training.networks.pdfgc.config import PRESETS
from training.pdfgc.networks import Networks

torch.manual_seed(1)
write_bundle(Networks(PRESETS[sys.argv[1]]), Path(sys.argv[2]))
PYTHON
for name in pdfgc pdfgc-generator-i420; do
	# shellcheck disable=SC2086
	"$python" -m export "$name" --run "$networks" --out "$networks" --half --batch ${BATCHES:-1 2 4 8 16 32} --threads "$(nproc)"
done
"$python" -m benchmarks.run --suite graphs --device "${DEVICE:-cuda:0}" --models "$networks" engine/models \
	--json "$out/graphs.json" --plots "$out"
