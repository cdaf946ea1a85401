"""Speech as it is heard in rooms, over microphones and in company: augmentation of waveforms, seeded and fast.

As in Rhythmic Head Motion (section 3.2), noise comes at 6 to 30 dB below the
speech in steps of 3 dB; a share of the speech stays cleaner. All sound is
float32 at 16 kHz.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.fft import irfft, rfft
from numpy.typing import NDArray
from scipy import signal

from engine.features.mel import RATE_HZ
from training.speech.errors import SpeechError
from training.speech.sound import read

Sound = NDArray[np.float32]

SNR_DB: Final = tuple(range(6, 31, 3))
GAIN_DB: Final = (-30.0, 6.0)
COLOURS: Final = {"white": 0.0, "pink": 0.5, "brown": 1.0}
"""Kinds of noise by the power of 1/f that their amplitudes follow."""


@dataclass(frozen=True, slots=True)
class Shares:
    """How often what is done to a stretch of speech; 0 never, 1 always."""

    room: float = 0.5
    noise: float = 0.75
    colour: float = 0.6
    band: float = 0.2
    clip: float = 0.08
    gain: float = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """What is mixed in: noises, rooms' impulse responses and others' speech (may be empty: noises and rooms are made too)."""

    noises: Sequence[Sound] = field(default_factory=tuple)
    rooms: Sequence[Sound] = field(default_factory=tuple)
    voices: Sequence[Sound] = field(default_factory=tuple)

    @classmethod
    def load(cls, folder: Path, voices: Sequence[Sound] = ()) -> "Surroundings":
        """Those of a folder: `rir*` are rooms, every other sound is a noise.

        Raises:
            SpeechError: if the folder holds no sound.
        """
        paths = sorted(p for p in folder.glob("*") if p.suffix in (".wav", ".flac"))
        if not paths:
            raise SpeechError(f"no noises in {folder}: give a folder of .wav or .flac, or none")
        rooms = tuple(_from_onset(read(p)) for p in paths if p.name.startswith("rir"))
        return cls(tuple(read(p) for p in paths if not p.name.startswith("rir")), rooms, tuple(voices))


def augment(sound: Sound, rng: np.random.Generator, around: Surroundings, shares: Shares | None = None) -> Sound:
    """float32[N] of float32[N]: room, noise, microphone, line and level, each by chance. What came in is not changed."""
    shares = shares or Shares()
    out = sound
    if rng.random() < shares.room:
        room = around.rooms[int(rng.integers(len(around.rooms)))] if around.rooms and rng.random() < 0.5 else made_room(rng)
        out = in_room(out, room)
    if rng.random() < shares.noise:
        out = mixed(out, noise(len(out), rng, around), float(rng.choice(SNR_DB)))
    if rng.random() < shares.colour:
        out = coloured(out, rng)
    if rng.random() < shares.band:
        out = band_limited(out, float(rng.uniform(50, 350)), float(rng.uniform(3000, 7000)))
    if rng.random() < shares.clip:
        top = float(np.abs(out).max()) * float(rng.uniform(0.3, 0.8))
        out = np.clip(out, -top, top)
    if rng.random() < shares.gain:
        out = out * np.float32(10 ** (rng.uniform(*GAIN_DB) / 20))
    return np.clip(out, -1, 1).astype(np.float32)


def in_room(sound: Sound, room: Sound) -> Sound:
    """float32[N], `sound` in a room whose impulse response begins with its direct sound; as loud as before."""
    size = _fast(len(sound) + len(room) - 1)
    wet = irfft(rfft(sound, size) * rfft(room, size), size)[: len(sound)]
    return (wet * (_rms(sound) / (_rms(wet) + 1e-9))).astype(np.float32)


def made_room(rng: np.random.Generator) -> Sound:
    """float32[R]: a direct sound, then noise that decays by 60 dB in 0.1 to 0.7 s, a few early echoes before it."""
    decay_s = float(rng.uniform(0.1, 0.7))
    samples = int(0.7 * decay_s * RATE_HZ)
    tail = rng.standard_normal(samples, np.float32) * np.exp(np.linspace(0, -6.9 * 0.7, samples, dtype=np.float32))
    tail[: int(rng.uniform(0.002, 0.012) * RATE_HZ)] = 0
    tail *= np.float32(rng.uniform(0.1, 0.7)) / (np.linalg.norm(tail) + 1e-9)
    for _ in range(int(rng.integers(0, 5))):
        tail[int(rng.uniform(0.001, 0.03) * RATE_HZ)] += np.float32(rng.uniform(-0.4, 0.4))
    tail[0] = 1
    return tail.astype(np.float32)


def mixed(sound: Sound, other: Sound, snr_db: float) -> Sound:
    """float32[N]: `other` added so that the parts of `sound` in which something is heard are `snr_db` above it."""
    level = _speech_rms(sound)
    if level < 1e-6:  # noise alone then, at the level that it has
        return sound + other
    return (sound + other * (level / (_rms(other) + 1e-9) * 10 ** (-snr_db / 20))).astype(np.float32)


def noise(samples: int, rng: np.random.Generator, around: Surroundings) -> Sound:
    """float32[samples] of one kind or two, RMS 0.05."""
    makers: list[Callable[[], Sound]] = [
        lambda: colour_noise(samples, rng, str(rng.choice(tuple(COLOURS)))),
        lambda: hum(samples, rng),
        lambda: music(samples, rng),
    ]
    if around.noises:
        makers += [lambda: _piece(around.noises[int(rng.integers(len(around.noises)))], samples, rng)] * 3
    if around.voices:
        makers += [lambda: babble(samples, rng, around.voices)] * 2
    out = makers[int(rng.integers(len(makers)))]()
    if rng.random() < 0.25:
        out = out + makers[int(rng.integers(len(makers)))]() * np.float32(rng.uniform(0.2, 1))
    return (out * (0.05 / (_rms(out) + 1e-9))).astype(np.float32)


def colour_noise(samples: int, rng: np.random.Generator, colour: str) -> Sound:
    """float32[samples]: one of `COLOURS`, RMS 1, made in the frequency domain."""
    size = _fast(samples)
    bins = size // 2 + 1
    spectrum = rng.standard_normal((bins, 2), np.float32).view(np.complex64)[:, 0]
    frequency = np.maximum(np.arange(bins, dtype=np.float32), size * 20 / RATE_HZ)
    spectrum *= frequency ** np.float32(-COLOURS[colour])
    return _unit(irfft(spectrum, size)[:samples])


def hum(samples: int, rng: np.random.Generator) -> Sound:
    """float32[samples]: mains or a fan, harmonics of 50 or 60 Hz with a little hiss, RMS 1."""
    phase = (2 * np.pi * float(rng.choice((50, 60))) / RATE_HZ) * np.arange(samples, dtype=np.float32)
    out = np.float32(0.1) * rng.standard_normal(samples, np.float32)
    for harmonic in range(1, 9):
        out += np.float32(rng.uniform(0, 1) / harmonic) * np.sin(harmonic * phase + np.float32(rng.uniform(0, 6.28)))
    return _unit(out)


def music(samples: int, rng: np.random.Generator) -> Sound:
    """float32[samples]: chords of plucked or bowed tones over a beat, at 70 to 150 beats a minute, RMS 1."""
    out = np.zeros(samples, np.float32)
    beat = int(RATE_HZ * 60 / rng.uniform(70, 150))
    root = float(rng.uniform(80, 220))
    for start in range(-int(rng.integers(beat)), samples, 2 * beat):
        length = min(2 * beat, samples - max(start, 0))
        chord = _chord(length, root * 2 ** (float(rng.choice((0, 2, 4, 5, 7, 9, -3))) / 12), rng)
        out[max(start, 0) :][:length] += chord
    drum = rng.standard_normal(min(beat, 2400), np.float32) * np.exp(-np.arange(min(beat, 2400), dtype=np.float32) / 300)
    for start in range(int(rng.integers(beat)), samples, beat):
        length = min(len(drum), samples - start)
        out[start : start + length] += np.float32(rng.uniform(0, 0.6)) * drum[:length]
    return _unit(out)


def _chord(length: int, root_hz: float, rng: np.random.Generator) -> Sound:
    time = np.arange(length, dtype=np.float32) / np.float32(RATE_HZ)
    out = np.zeros(length, np.float32)
    for step in (0, 3 + int(rng.integers(2)), 7, 12):
        for harmonic in (1, 2, 3):
            out += np.sin(np.float32(6.2832 * harmonic * root_hz * 2 ** (step / 12)) * time) / np.float32(harmonic**1.5)
    return out * np.exp(-np.float32(rng.uniform(0.2, 5)) * time)


def babble(samples: int, rng: np.random.Generator, voices: Sequence[Sound]) -> Sound:
    """float32[samples]: three to seven others speaking at once, RMS 1."""
    out = np.zeros(samples, np.float32)
    for _ in range(int(rng.integers(3, 8))):
        out += _unit(_piece(voices[int(rng.integers(len(voices)))], samples, rng)) * np.float32(rng.uniform(0.4, 1))
    return _unit(out)


def coloured(sound: Sound, rng: np.random.Generator) -> Sound:
    """float32[N] through a microphone: a mild tilt, and one resonance or notch."""
    tilt = float(rng.uniform(-0.6, 0.6))
    out = sound.copy()
    out[1:] -= np.float32(tilt) * sound[:-1]
    angle = 2 * np.pi * float(np.exp(rng.uniform(np.log(150), np.log(5000)))) / RATE_HZ
    radius, gain = float(rng.uniform(0.5, 0.9)), float(rng.uniform(0.6, 1.5))
    poles = [1.0, -2 * radius * np.cos(angle), radius**2]
    near = radius**gain
    return np.asarray(signal.lfilter([1.0, -2 * near * np.cos(angle), near**2], poles, out), np.float32)


def band_limited(sound: Sound, low_hz: float, high_hz: float) -> Sound:
    """float32[N] between two frequencies, as lines and codecs leave it; edges fall off over a sixth of an octave."""
    size = _fast(len(sound))
    frequency = np.arange(size // 2 + 1, dtype=np.float32) * (RATE_HZ / size) + 1e-3
    keep = np.clip(6 * np.log2(frequency / low_hz) + 1, 0, 1) * np.clip(1 - 6 * np.log2(frequency / high_hz), 0, 1)
    return irfft(rfft(sound, size) * keep.astype(np.float32), size)[: len(sound)].astype(np.float32)


def _from_onset(room: Sound) -> Sound:
    """An impulse response from its direct sound on, at most 1 s: the lips must not lag by the length of the room."""
    start = int(np.argmax(np.abs(room)))
    return (room[start : start + RATE_HZ] / (np.abs(room).max() + 1e-9)).astype(np.float32)


def _piece(sound: Sound, samples: int, rng: np.random.Generator) -> Sound:
    """float32[samples] from a random place of `sound`, which repeats."""
    start = int(rng.integers(len(sound)))
    return np.resize(np.roll(sound, -start) if len(sound) < samples else sound, start + samples)[start : start + samples]


def _speech_rms(sound: Sound) -> float:
    """RMS of the 20 ms frames within 30 dB of the loudest."""
    power = np.square(sound[: len(sound) // 320 * 320].reshape(-1, 320)).mean(axis=1)
    return float(np.sqrt(power[power >= power.max() * 1e-3].mean())) if len(power) else _rms(sound)


def _rms(sound: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.dot(sound, sound) / max(len(sound), 1)))


def _fast(samples: int) -> int:
    """A length from `samples` on whose transform is fast."""
    return min(m << max(math.ceil(math.log2(samples / m)), 0) for m in (1, 3, 5, 9, 15))


def _unit(sound: NDArray[np.floating]) -> Sound:
    return (sound / (_rms(sound) + 1e-9)).astype(np.float32)
