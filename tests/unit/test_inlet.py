from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import pytest

from streaming.worker.hold import MARGIN_S
from streaming.worker.inlet import Inlet

RATE = 48_000
FRAME = 1920


@dataclass
class Line:
    """Feeds an inlet from a simulated far clock and pulls it at 25 fps."""

    packet: int = 960
    ppm: float = 0.0
    hz: float = 200.0
    late: Callable[[int], float] = lambda k: 0.0
    lost: Iterable[int] = ()
    inlet: Inlet = field(default_factory=Inlet)
    delays_ms: list[float] = field(default_factory=list[float])
    missing: list[int] = field(default_factory=list[int])

    def play(self, seconds: float) -> np.ndarray:
        """The sound given out, float32[N]."""
        lost, out, k = set(self.lost), list[np.ndarray](), 0
        at = self._arrival(0)
        for tick in range(1, round(seconds * RATE / FRAME) + 1):
            due = tick * FRAME / RATE
            while at <= due:
                if k not in lost:
                    self.inlet.push(self._sound(k), at)
                k += 1
                at = max(at, self._arrival(k))
            sound, missing = self.inlet.pull(FRAME, due)
            assert len(sound) == FRAME
            out.append(sound)
            self.missing.append(missing)
            self.delays_ms.append(self.inlet.stats.delay_ms)
        return np.concatenate(out)

    def _arrival(self, k: int) -> float:
        return (k + 1) * self.packet / RATE / (1 + self.ppm * 1e-6) + 0.0123 + self.late(k)

    def _sound(self, k: int) -> np.ndarray:
        t = (k * self.packet + np.arange(self.packet)) / RATE
        return (0.5 * np.sin(2 * np.pi * self.hz * t)).astype(np.float32)


STEEPEST = 0.5 * 2 * np.pi * 200 / RATE


def clicks(sound: np.ndarray) -> np.ndarray:
    """Where the sound steps more than twice as steeply as its tone can."""
    return np.flatnonzero(np.abs(np.diff(sound)) > 2 * STEEPEST)


@pytest.mark.parametrize("packet", [480, 960, 2880, 777])
def test_a_steady_stream_passes_unchanged_after_its_hold(packet: int) -> None:
    line = Line(packet=packet)
    out = line.play(2)
    assert not line.missing[3:] or max(line.missing[4:]) == 0
    steady = out[RATE:]
    spectrum = np.abs(np.fft.rfft(steady * np.hanning(len(steady))))
    peak = int(spectrum.argmax())
    assert peak == 200 * len(steady) // RATE
    assert len(clicks(out)) == 0
    hold = max(20, 1000 * (packet / RATE + MARGIN_S))
    if packet in (480, 960):  # frames end where packets end
        assert hold - 1000 * packet / RATE <= line.delays_ms[-1] <= hold + 1.5
    else:
        assert line.delays_ms[-1] == pytest.approx(hold, abs=0.5)


@pytest.mark.parametrize("ppm", [-200, 200])
def test_the_difference_of_the_clocks_is_resampled_away(ppm: float) -> None:
    line = Line(ppm=ppm)
    out = line.play(60)
    assert max(line.missing[50:]) == 0
    settled = line.delays_ms[250:]
    assert max(settled) - min(settled) < 22, "up to a packet's length, and back"
    assert len(clicks(out)) == 0


def test_jitter_raises_the_hold_and_costs_nothing_else() -> None:
    rng = np.random.default_rng(3)
    jitter = rng.uniform(0, 0.015, 4000)
    line = Line(late=lambda k: float(jitter[k]))
    out = line.play(20)
    assert 13 < line.delays_ms[-1] < 45
    assert sum(line.missing[50:]) == 0
    assert len(clicks(out)) == 0


def test_a_stall_is_concealed_and_its_backlog_cut_within_two_seconds() -> None:
    line = Line(late=lambda k: 10.3 - k * 0.02 if 10 <= k * 0.02 < 10.3 else 0.0)
    out = line.play(14)
    assert line.inlet.stats.dropped > 0
    assert max(line.delays_ms[round(12.3 * 25) :]) < 30
    assert len(clicks(out)) == 0


def test_a_short_stall_is_worked_off_by_leaving_out_periods() -> None:
    line = Line(late=lambda k: 0.04 if k == 500 else 0.0)
    out = line.play(14)
    assert line.inlet.stats.removed > 0
    assert line.inlet.stats.pauses == 0
    assert max(line.delays_ms[12 * 25 :]) < 30
    assert len(clicks(out)) == 0


def test_a_muted_microphone_is_silence_and_comes_back_without_a_click() -> None:
    line = Line(lost=range(250, 500))
    out = line.play(14)
    assert line.inlet.stats.pauses == 1
    assert not out[round(5.2 * RATE) : round(9.9 * RATE)].any()
    assert np.abs(out[round(10.2 * RATE) :]).max() == pytest.approx(0.5, abs=0.01)
    assert len(clicks(out)) == 0
    assert max(line.delays_ms[round(10.5 * 25) :]) < 30


def test_a_burst_is_bounded() -> None:
    inlet = Inlet()
    inlet.push(np.ones(50 * RATE, np.float32), 0.0)
    for tick in range(1, 20):
        inlet.pull(FRAME, tick * 0.04)
    assert inlet.stats.received <= 1.01 * RATE
    inlet = Inlet()
    for k in range(600):  # 12 s at once, never pulled
        inlet.push(np.ones(960, np.float32), 0.001 * k)
    assert inlet.stats.dropped > 10 * RATE


def test_nothing_in_gives_silence_that_is_counted_as_missing() -> None:
    inlet = Inlet()
    sound, missing = inlet.pull(FRAME, 1.0)
    assert not sound.any()
    assert missing == FRAME
    assert inlet.arrived(100) == 0.0


def test_it_knows_when_a_sample_arrived() -> None:
    inlet = Inlet()
    for k in range(10):
        inlet.push(np.ones(960, np.float32), 0.02 * (k + 1))
        if k % 2:
            inlet.pull(FRAME, 0.02 * (k + 1))
    for sample in (inlet.pulled - 1, inlet.pulled - 1000):
        arrived = inlet.arrived(sample)
        assert 0.02 < arrived <= 0.2
    assert inlet.arrived(inlet.pulled - 1) > inlet.arrived(inlet.pulled - FRAME)
    assert 0.2 - inlet.arrived(inlet.pulled - 1) == pytest.approx(0.02, abs=0.021)


def test_a_barge_in_forgets_all_sound() -> None:
    line = Line()
    line.play(2)
    line.inlet.clear()
    sound, missing = line.inlet.pull(FRAME, 2.04)
    assert not sound.any()
    assert missing == FRAME
