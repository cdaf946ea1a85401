"""The benchmarks' probe: what is painted is read back, a click is found, a stall falls on the frames it was asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contract import Motion
from engine.media import AudioChunk, Emission, VideoFrame
from streaming.worker import probe
from streaming.worker.probe import BITS, ROW_PX, TICK, NullRenderer, Probe, ProbeSpec, StallingRenderer
from tests.unit.fakes import GreyRenderer


@given(value=st.integers(0, 2**BITS - 1), size=st.sampled_from([256, 384, 512, 768]))
def test_gray_code_survives_painting_and_reading(value: int, size: int) -> None:
    row = np.zeros((ROW_PX, size), np.uint8)
    probe.paint(row, value)
    assert probe.read(row) == value


@given(value=st.integers(0, 2**BITS - 2))
def test_neighbours_differ_in_one_cell(value: int) -> None:
    rows = np.zeros((2, ROW_PX, 256), np.uint8)
    for row, number in zip(rows, (value, value + 1), strict=True):
        probe.paint(row, number)
    cells = np.flatnonzero((rows[0] != rows[1])[0])
    assert len(cells) == 256 // BITS


def test_gray_code_survives_noise() -> None:
    row = np.zeros((ROW_PX, 512), np.uint8)
    probe.paint(row, 0xABCDE)
    noisy = np.clip(row + np.random.default_rng(0).normal(0, 25, row.shape), 0, 255).astype(np.uint8)
    assert probe.read(noisy) == 0xABCDE


def emission(index: int, sound: np.ndarray) -> Emission:
    picture = VideoFrame(index * 1920 + 960, np.zeros((8, 8, 3), np.uint8))
    return Emission(index, picture, AudioChunk(index * 1920, sound.astype(np.float32)))


def test_the_clock_shows_the_instant_of_the_picture_and_of_the_latest_click() -> None:
    clock, luma = Probe(), np.zeros((256, 256), np.uint8)
    click = np.zeros(1920)
    click[333:573] = 0.7 * np.sin(2 * np.pi * 2000 * np.arange(240) / 48_000)
    found = int(np.flatnonzero(np.abs(click) > 0.2)[0])
    for index in range(12):
        clock.mark(luma, emission(index, click if index in (5, 6) else np.zeros(1920)))
        assert probe.read(luma[:ROW_PX]) == (index * 1920 + 960) // TICK
        expected = 5 * 1920 + found if index >= 5 else 0  # that of frame 6 comes too soon after it
        assert probe.read(luma[ROW_PX : 2 * ROW_PX]) == expected // TICK


def test_a_stall_falls_on_every_nth_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[tuple[int, float]] = []
    frame = 0
    monkeypatch.setattr(probe.time, "sleep", lambda seconds: slept.append((frame, seconds)))
    renderer = StallingRenderer(GreyRenderer(), ProbeSpec.parse("clock,stall:50/25"), 1920)
    for frame in range(60):
        renderer.prepare(Motion.of(frame * 1920 + 960))
        renderer.finish(None)
    assert slept == [(24, 0.05), (49, 0.05)]


@pytest.mark.parametrize("text", ["clocks", "stall", "stall:50", "stall:x/25", "stall:50/0", "stall:-1/2"])
def test_what_is_not_a_probe_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"probe|stall"):
        ProbeSpec.parse(text)


def test_the_null_renderer_is_a_renderer() -> None:
    renderer = NullRenderer(64)
    assert renderer.prepare(Motion.of(960)) is None
    frame = renderer.finish(None)
    assert frame.sample == 960
    assert frame.rgb.shape == (64, 64, 3)
