"""Recordings with texts become utterances."""

import ctypes.util
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

pytest.importorskip("torch")

import torch

from training.speech import transcribed
from training.speech.alignments import Tally
from training.speech.errors import SpeechError
from training.speech.phones import CLASS, PHONES, Phone
from training.speech.recogniser import Recogniser

needs_espeak = pytest.mark.skipif(ctypes.util.find_library("espeak-ng") is None, reason="espeak-ng is not installed")


def write(path: Path, seconds: float) -> None:
    rng = np.random.default_rng(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, 16_000, (3000 * rng.standard_normal(int(seconds * 16_000))).astype(np.int16))


def test_lists(tmp_path: Path) -> None:
    for name in ("one.wav", "more/two.wav", "three.wav"):
        write(tmp_path / name, 0.1)
    listing = tmp_path / "list.txt"
    listing.write_text("\ufeffone: Hello there.\nmore/two.wav\tBye: now\nthree: [a beep]\nfour: nobody\n\nnonsense\n", "utf-8")
    found = list(transcribed.transcripts("mine", f"{tmp_path}/", str(listing), "en-us"))
    assert [(t.path.name, t.text) for t in found] == [("one.wav", "Hello there."), ("two.wav", "Bye: now")]
    assert len({t.name for t in found}) == 2
    with pytest.raises(SpeechError, match="unknown language 'xx'"):
        list(transcribed.transcripts("mine", f"{tmp_path}/", str(listing), "xx"))
    with pytest.raises(SpeechError, match="no list"):
        list(transcribed.transcripts("mine", f"{tmp_path}/", str(tmp_path / "none"), "en-us"))


def test_numbers_name_files(tmp_path: Path) -> None:
    for name in ("7.g722", "12.g722", "a-m.g722", "7.wav"):
        (tmp_path / name).write_bytes(b"")
    found = transcribed.transcripts("mine", f"{tmp_path}/", "-", "es")
    assert sorted((t.path.name, t.text) for t in found) == [("12.g722", "12"), ("7.g722", "7")]


def test_words_of_phonemes() -> None:
    words = transcribed.words_of_ipa("m_ˈiː_t__ (en)b_ˈɑː_b(de) tʃ_aɪ _")
    assert [[PHONES[i] for i in w.classes] for w in words] == [["m", "iy", "t"], ["b", "aa", "b"], ["ch", "a", "ih"]]


@needs_espeak
def test_words_of_a_text() -> None:
    words = transcribed.words_of("Bob has 2 maps, I think.", "en-us")
    assert [PHONES[w.classes[0]] for w in words] == ["b", "hh", "t", "m", "a", "th"]


def test_scores() -> None:
    log_odds = np.full((100, len(PHONES)), -6, np.float32)
    log_odds[:50, CLASS["a"]] = -1
    phones = [Phone(0.0, 0.4975, CLASS["a"]), Phone(0.4975, 0.9975, CLASS["m"])]
    mean, worst = transcribed.scores(log_odds, phones)
    assert mean == pytest.approx(-3.5, abs=0.1)
    assert worst == pytest.approx(-6, abs=0.1)
    assert transcribed.scores(log_odds, [])[0] == -np.inf


@needs_espeak
def test_short_recordings_are_strung_and_poor_ones_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(4):
        write(tmp_path / f"clip{i}.wav", 2.013)
    listing = tmp_path / "list.txt"
    listing.write_text("".join(f"clip{i}: more maps\n" for i in range(4)), "utf-8")
    torch.manual_seed(0)
    model, tally = Recogniser(16).eval(), Tally()
    monkeypatch.setattr(transcribed, "LOWEST", 0.0)
    some = list(transcribed.transcripts("mine", f"{tmp_path}/", str(listing), "en-us"))
    assert not list(transcribed.utterances(some, model, tally))
    assert sum(tally.reasons.values()) == 4
    monkeypatch.setattr(transcribed, "LOWEST", -99.0)
    monkeypatch.setattr(transcribed, "WORST", -99.0)
    made = list(transcribed.utterances(some, model, Tally()))
    assert [round(u.seconds) for u in made] == [5, 5]
    assert [p.name for p in made[0].phones].count("m") == 4
    assert all(u.split in ("train", "validation") and u.source == "mine" for u in made)
    ends = [0.0, *(p.end_s for p in made[0].phones)]
    assert all(p.start_s >= end - 1e-6 for p, end in zip(made[0].phones, ends, strict=False))
