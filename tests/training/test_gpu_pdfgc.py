import json

import pytest

pytest.importorskip("torch")

from benchmarks import gpu_pdfgc


def test_it_can_be_rehearsed_without_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_pdfgc.main(["--device", "cpu", "--widths", "pdfgc-lite", "--batches", "1", "--repeats", "1"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["suite"] == "gpu_pdfgc"
    assert {f"{name}_{kind}_b1_ms" for name in gpu_pdfgc.FRAME for kind in ("fp32", "half")} <= found["metrics"].keys()
    assert found["metrics"]["generator_b1_difference"] < gpu_pdfgc.WORST
