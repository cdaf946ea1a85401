"""Augmentation keeps length, type and time, and does what it says."""

import time
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

pytest.importorskip("torch")

from training.speech import noise
from training.speech.errors import SpeechError
from training.speech.noise import Shares, Surroundings, augment, in_room, made_room, mixed


def speech(seconds: float = 2.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    samples = int(seconds * 16_000)
    syllables = np.clip(np.sin(np.arange(samples) * 2 * np.pi * 3 / 16_000), 0, 1)
    return (0.2 * syllables * np.sin(np.arange(samples) * 0.09) + 1e-4 * rng.normal(size=samples)).astype(np.float32)


@pytest.mark.parametrize("seed", range(12))
def test_what_comes_out_is_sound(seed: int) -> None:
    sound = speech(1.3)
    before = sound.copy()
    around = Surroundings(voices=(speech(1.0, 5), speech(0.4, 6)), noises=(speech(0.2, 7),))
    out = augment(sound, np.random.default_rng(seed), around, Shares(1, 1, 1, 1, 1, 1))
    assert out.dtype == np.float32
    assert out.shape == sound.shape
    assert np.isfinite(out).all()
    assert 0 < np.abs(out).max() <= 1
    assert np.array_equal(sound, before)
    assert np.array_equal(out, augment(sound, np.random.default_rng(seed), around, Shares(1, 1, 1, 1, 1, 1)))


def test_shares_of_nothing_change_nothing() -> None:
    sound = speech()
    assert np.array_equal(augment(sound, np.random.default_rng(0), Surroundings(), Shares(0, 0, 0, 0, 0, 0)), sound)


@pytest.mark.parametrize("snr_db", [6.0, 18.0, 30.0])
def test_noise_lies_as_far_below_speech_as_asked(snr_db: float) -> None:
    steady = np.sin(np.arange(32_000) * 0.1).astype(np.float32) * 0.1
    other = noise.colour_noise(32_000, np.random.default_rng(1), "pink")
    added = mixed(steady, other, snr_db) - steady
    assert 20 * np.log10(np.std(steady) / np.std(added)) == pytest.approx(snr_db, abs=0.2)


def test_rooms_keep_the_instant_and_the_level() -> None:
    click = np.zeros(16_000, np.float32)
    click[4000] = 1
    for seed in range(5):
        wet = in_room(click, made_room(np.random.default_rng(seed)))
        assert int(np.abs(wet).argmax()) == 4000
        assert np.linalg.norm(wet) == pytest.approx(1, rel=1e-3)
        assert np.abs(wet[:3990]).max() < 1e-3


@pytest.mark.parametrize("colour", ["white", "pink", "brown"])
def test_colours_fall_as_they_should(colour: str) -> None:
    out = noise.colour_noise(64_000, np.random.default_rng(0), colour)
    power = np.abs(np.fft.rfft(out)) ** 2
    octaves = [power[f * 4 : f * 8].mean() for f in (250, 2000)]
    per_octave = 10 * np.log10(octaves[0] / octaves[1]) / 3
    assert per_octave == pytest.approx({"white": 0, "pink": 3, "brown": 6}[colour], abs=0.5)


def test_a_line_has_its_band() -> None:
    out = noise.band_limited(np.random.default_rng(0).normal(size=32_000).astype(np.float32), 300, 3400)
    power = np.abs(np.fft.rfft(out)) ** 2
    assert power[: 200 * 2].mean() < 1e-3 * power[1000 * 2 : 3000 * 2].mean()
    assert power[4500 * 2 :].mean() < 1e-3 * power[1000 * 2 : 3000 * 2].mean()


def test_every_noise_has_the_level_it_says() -> None:
    rng = np.random.default_rng(2)
    around = Surroundings(voices=(speech(),), noises=(speech(0.5),))
    for _ in range(12):
        out = noise.noise(16_000, rng, around)
        assert out.dtype == np.float32
        assert float(np.sqrt(np.mean(out**2))) == pytest.approx(0.05, rel=1e-3)


def test_silence_in_noise_is_the_noise() -> None:
    out = mixed(np.zeros(8000, np.float32), np.full(8000, 0.1, np.float32), 20)
    assert np.allclose(out, 0.1)


def test_a_folder_of_noises(tmp_path: Path) -> None:
    with pytest.raises(SpeechError, match="no noises"):
        Surroundings.load(tmp_path)
    wavfile.write(tmp_path / "hiss.wav", 16_000, (3000 * speech(0.3)).astype(np.int16))
    room = np.zeros(4800, np.int16)
    room[[900, 1200]] = (20_000, 5000)
    wavfile.write(tmp_path / "rir1.wav", 16_000, room)
    around = Surroundings.load(tmp_path)
    assert (len(around.noises), len(around.rooms)) == (1, 1)
    assert int(np.abs(around.rooms[0]).argmax()) == 0


def test_it_keeps_up_with_training() -> None:
    sound, rng, around = speech(4.0), np.random.default_rng(0), Surroundings(voices=(speech(),))
    augment(sound, rng, around)
    began = time.process_time()
    for _ in range(15):
        augment(sound, rng, around)
    assert 60 / (time.process_time() - began) > 60  # 1500 s a second on an idle core
