from dataclasses import replace

import pytest

pytest.importorskip("torch")

from benchmarks import pdfgc_suite
from benchmarks.metrics import Distribution
from training.networks.pdfgc.config import PDFGC_LITE

TINY = PDFGC_LITE.at(14)


def test_both_ways_are_timed_and_draw_the_same_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdfgc_suite, "PDFGC_224", TINY)
    monkeypatch.setattr(pdfgc_suite, "PDFGC_LITE", replace(TINY, published=True))
    for name, value in (("THREADS", 1), ("BATCH", 2), ("MINIMUM", 1)):
        monkeypatch.setattr(pdfgc_suite, name, value)
    outcome = pdfgc_suite.run_suite(0.0)
    assert not outcome.failures
    ours, public = outcome.metrics["pdfgc_224_ms"], outcome.metrics["pdfgc_224_public_ms"]
    assert isinstance(ours, Distribution)
    assert isinstance(public, Distribution)
    assert (ours.n, public.n) == (2, 1)
    assert outcome.metrics["pdfgc_lite_ratio"] > 0  # pyright: ignore[reportOperatorIssue]
