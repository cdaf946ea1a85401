"""Sounds made to order, float32 mono at 48 kHz."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

RATE = 48_000

FORMANTS_HZ = {
    "aa": (730, 1090, 2440),
    "ee": (280, 2250, 2900),
    "oo": (310, 870, 2250),
    "eh": (530, 1840, 2480),
    "oh": (460, 880, 2400),
    "mm": (250, 1100, 2200),
}
"""Peterson and Barney (1952), men; the last is a nasal murmur."""


def silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(round(seconds * RATE), np.float32)


def noise(seconds: float, db: float, seed: int = 0) -> NDArray[np.float32]:
    """White noise of an RMS of `db` dB relative to full scale."""
    rng = np.random.default_rng(seed)
    return (10 ** (db / 20) * rng.standard_normal(round(seconds * RATE))).astype(np.float32)


def hum(seconds: float, db: float, hz: float = 100.0) -> NDArray[np.float32]:
    """A hum with ten harmonics, as of a transformer."""
    t = np.arange(round(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * hz * k * t + k) / k for k in range(1, 11))
    return (10 ** (db / 20) * wave / np.sqrt(np.mean(np.square(wave)))).astype(np.float32)


def vowel(name: str, seconds: float, db: float = -20.0, pitch_hz: float = 120.0) -> NDArray[np.float32]:
    """A sung vowel: pulses through three resonances, faded in and out within 15 ms."""
    count = round(seconds * RATE)
    phase = np.cumsum(np.full(count, pitch_hz / RATE))
    wave = np.diff(np.floor(phase), prepend=0).astype(np.float64)
    wave = np.asarray(lfilter([1.0], [1.0, -0.97], wave))  # the glottis falls by 12 dB an octave, the lips give 6 back
    for hz, width_hz in zip(FORMANTS_HZ[name], (80, 100, 140), strict=True):
        r = np.exp(-np.pi * width_hz / RATE)
        poles = [1.0, -2 * r * np.cos(2 * np.pi * hz / RATE), r * r]
        wave = np.asarray(lfilter([sum(poles)], poles, wave))
    wave = np.asarray(wave) * (10 ** (db / 20) / np.sqrt(np.mean(np.square(wave))))
    edge = round(0.015 * RATE)
    fade = np.minimum(1, np.minimum(np.arange(count), np.arange(count)[::-1]) / edge)
    return (wave * fade).astype(np.float32)


def syllables(
    count: int, rate_hz: float = 4.0, name: str = "aa", db: float = -20.0, duty: float = 0.55, lead_s: float = 0.5
) -> NDArray[np.float32]:
    """'ba ba ba': bursts of a vowel between gaps of silence, after `lead_s` of silence and before as much."""
    period = round(RATE / rate_hz)
    burst = vowel(name, duty / rate_hz, db)
    pair = np.zeros(period, np.float32)
    pair[: len(burst)] = burst
    return np.concatenate([silence(lead_s), *[pair] * count, silence(lead_s)])


def envelope(sound: NDArray[np.float32], step: int = 960) -> NDArray[np.float64]:
    """RMS over the `step` samples around each multiple of `step`."""
    padded = np.pad(sound.astype(np.float64), step // 2)
    return np.sqrt(np.mean(padded[: len(padded) // step * step].reshape(-1, step) ** 2, axis=1))
