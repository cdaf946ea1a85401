"""How long a voice was held, and how much of it was real, when it is known."""

import numpy as np
import pytest

from benchmarks.hearing import figures, held_ms
from benchmarks.journal import Heard
from benchmarks.metrics import Distribution

PACKET, FRAME, FRAMES = 960, 1920, 100
HELD = 1200  # samples of the source that the frame's newest is behind what has been pushed


def heard(missing: int = 0) -> Heard:
    """Two seconds of noise in packets of 20 ms; each tick takes the frame that ended `HELD` samples ago, from 1 s on."""
    rng = np.random.default_rng(3)
    count = 2 * FRAMES + 40
    source = (rng.normal(0, 3000, count * PACKET)).astype(np.int16)
    due = 1.0 + 0.04 * np.arange(FRAMES, dtype=np.float64)
    ends = PACKET * np.arange(1, count + 1)
    arrived = 0.4 + ends / 48_000
    taken = (due - 0.4) * 48_000 - HELD - FRAME
    sound = np.stack([source[round(at) : round(at) + FRAME] for at in taken])
    return Heard(source, ends, arrived, due, np.full(FRAMES, missing), sound, 100.0)


def test_sound_is_held_from_its_packets_arrival_to_its_tick() -> None:
    any_sample, newest = held_ms(heard())
    known = any_sample[np.isfinite(any_sample)]
    assert np.isfinite(any_sample).mean() > 0.95
    assert known.min() >= HELD / 48 - 20
    assert known.max() <= HELD / 48 + 40
    assert np.nanmedian(any_sample) == pytest.approx(HELD / 48 + 20 - 10, abs=8)
    assert np.nanmax(newest) <= HELD / 48


def test_what_was_invented_or_missing_is_not_real_and_what_was_recovered_is() -> None:
    voices = [{"concealed": 960, "recovered": 0}, {"concealed": 960 + 1920, "recovered": 3840}]
    found = figures(heard(missing=192), voices, 101_000.0, 106_000.0)
    assert found["sound_missing_ratio"] == pytest.approx(0.1)
    assert found["sound_invented_ratio"] == pytest.approx(1920 / (FRAMES * FRAME))
    assert found["sound_recovered_ratio"] == pytest.approx(3840 / (FRAMES * FRAME))
    assert found["real_samples_ratio"] == pytest.approx(1 - 0.1 - 0.01)


def test_counts_that_fall_began_anew() -> None:
    voices = [{"concealed": 5000}, {"concealed": 192}]
    found = figures(heard(), voices, 101_000.0, 106_000.0)
    assert found["sound_invented_ratio"] == pytest.approx(192 / (FRAMES * FRAME))
    assert found["sound_recovered_ratio"] is None


def test_only_what_was_due_between_counts() -> None:
    found = figures(heard(), [], 102_000.0, 103_000.0)
    held = found["audio_buffer_ms"]
    assert isinstance(held, Distribution)
    assert held.n == pytest.approx(25, abs=1)
    assert found["real_samples_ratio"] == 1


def test_a_server_that_heard_nothing_held_nothing() -> None:
    page = heard()
    deaf = Heard(np.zeros(0, np.int16), np.zeros(0, np.int64), np.zeros(0), page.due, page.missing, page.sound, page.wall)
    assert figures(deaf, [], 101_000.0, 106_000.0)["stage_audio_hold_ms"] is None
