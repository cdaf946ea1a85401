import numpy as np
from numpy.typing import NDArray

from engine.motion.brows import HIGHEST, Brows

STEP = 320


def tone(hz: float | NDArray[np.float64], seconds: float, level: float = 0.2) -> NDArray[np.float32]:
    """A buzz with ten partials at 16 kHz."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hz, int(seconds * 16_000))) / 16_000
    partials = np.stack([np.sin(k * phase) / k for k in range(1, 11)])
    return (level * partials.sum(0)).astype(np.float32)


def raised(sound: NDArray[np.float32], speech: float = 1.0) -> NDArray[np.float64]:
    brows, found = Brows(), []
    for start in range(0, len(sound) - STEP + 1, STEP):
        brows.step(sound[start : start + STEP], speech)
        found.append(brows.raised)
    return np.array(found)


def test_a_pitch_that_rises_raises_the_brows() -> None:
    flat, accent = tone(120, 1.5), tone(120 * 2 ** np.linspace(0, 0.6, 8000), 0.5)
    found = raised(np.concatenate([flat, accent, flat]))
    assert found[:70].max() < 0.02
    assert 0.05 < found[75:120].max() <= HIGHEST
    assert found[-1] < 0.3 * found.max()


def test_silence_brings_them_to_rest_exactly() -> None:
    brows = Brows()
    for piece in tone(120 * 2 ** np.linspace(0, 1, 16_000), 1.0).reshape(-1, STEP):
        brows.step(piece, 1.0)
    assert brows.raised > 0.05
    for _ in range(400):
        brows.step(np.zeros(STEP, np.float32), 0.0)
    assert brows.raised == 0


def test_what_is_no_speech_raises_nothing() -> None:
    assert not raised(tone(120 * 2 ** np.linspace(0, 1, 32_000), 2.0), speech=0.0).any()


def test_nothing_jumps() -> None:
    rng = np.random.default_rng(0)
    wild = tone(np.repeat(rng.uniform(80, 400, 40), 800), 2.0) * np.repeat(rng.uniform(0, 2, 40), 800).astype(np.float32)
    assert np.abs(np.diff(raised(wild))).max() < 0.05
