"""Phones, texts, shards, recordings and the command of `training.speech`."""

import argparse
import ctypes.util
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import itertools

from engine.motion.visemes import ARTICULATORS, VISEMES
from training.__main__ import main
from training.speech import espeak as espeak_module
from training.speech import flite, prepare, recordings, synthesis, texts, utterances
from training.speech.alignments import Tally, boundary_errors, grid, speechocean, textgrids
from training.speech.errors import SpeechError
from training.speech.espeak import LANGUAGES, Espeak, Voice, espeak
from training.speech.noise import Surroundings
from training.speech.phones import CLASS, CLOSED, PHONES, SIL, VISEME, Phone, from_arpabet, from_ipa, per_step, spread
from training.speech.sound import to_16k, to_int16

needs_espeak = pytest.mark.skipif(ctypes.util.find_library("espeak-ng") is None, reason="espeak-ng is not installed")
needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")


def names(classes: tuple[int, ...]) -> list[str]:
    return [PHONES[i] for i in classes]


def test_every_phone_is_a_viseme_and_every_viseme_a_phone() -> None:
    assert len(PHONES) == len(set(PHONES)) == len(VISEME)
    assert {VISEMES[i] for i in VISEME} == set(VISEMES)
    assert {VISEMES[VISEME[i]] for i in CLOSED} == {"mm"}


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("tʃ", ["ch"]), ("tɕ", ["ch"]), ("aɪ", ["a", "ih"]), ("ɔ̃", ["ao"]), ("pʰ", ["p"]), ("ç", ["sh"]), ("ts", ["t", "s"]),
        ("ʲ", ["j"]), ("e̞", ["e"]), ("", []), ("5", []),
    ],
)  # fmt: skip
def test_ipa(symbol: str, expected: list[str]) -> None:
    assert names(from_ipa(symbol)) == expected


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [("AH0_B", ["ax"]), ("AH1", ["ah"]), ("ax", ["ax"]), ("ow", ["o", "uh"]), ("pau", ["sil"]), ("Q9", [])],
)
def test_arpabet(symbol: str, expected: list[str]) -> None:
    assert names(from_arpabet(symbol)) == expected


def test_spread_fills_its_stretch() -> None:
    parts = spread(1.0, 2.0, (3, 4, 5))
    assert parts[0].start_s == 1.0
    assert parts[-1].end_s == 2.0
    assert all(a.end_s == b.start_s for a, b in itertools.pairwise(parts))


def test_per_step_reads_the_phone_at_each_instant() -> None:
    classes = per_step([Phone(0.02, 0.06, 5), Phone(0.06, 0.079, 7)], 6)
    assert classes.tolist() == [SIL, 5, 5, 7, SIL, SIL]


def test_texts_of_every_language_are_held_out_apart() -> None:
    for language in LANGUAGES:
        kept, held = texts.sentences(language, held_out=False), texts.sentences(language, held_out=True)
        assert len(kept) >= 12
        assert len(held) >= 2
        assert not set(kept) & set(held)
        assert texts.babble(language, np.random.default_rng(1)) == texts.babble(language, np.random.default_rng(1))
    shares = [set(voices) for voices in synthesis.VARIANTS.values()]
    assert not shares[0] & shares[1] | shares[0] & shares[2] | shares[1] & shares[2]


@needs_espeak
def test_espeak_closures_are_silent_and_bursts_are_not() -> None:
    sound, phones = espeak().say("A papa, a copper cup.", Voice("en-gb"))
    stops = [p for p in phones if p.name in ("p", "k") and p.start_s > 0.1]
    assert len(stops) >= 4
    rate = espeak().rate_hz
    for stop in stops:
        closed = sound[int((stop.start_s + 0.005) * rate) : int((stop.end_s - 0.018) * rate)]
        after = sound[int((stop.end_s - 0.009) * rate) : int((stop.end_s + 0.004) * rate)]
        assert np.abs(closed).max() < 0.3 * np.abs(after).max()
    assert all(a.end_s <= b.start_s + 1e-6 for a, b in itertools.pairwise(phones))


@needs_espeak
def test_espeak_times_the_same_again() -> None:
    (first, phones), (again, same) = (espeak().say("Mama", Voice("it", "f2")) for _ in range(2))
    assert len(first) == pytest.approx(len(again), abs=espeak().rate_hz // 1000)
    assert [p.index for p in phones] == [p.index for p in same]
    assert [p.start_s for p in phones] == pytest.approx([p.start_s for p in same], abs=1e-3)


def test_a_missing_espeak_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(espeak_module, "LIBRARY", "libnot-there.so")
    with pytest.raises(SpeechError, match="apt-get install"):
        Espeak()


def test_a_missing_flite_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SpeechError, match="apt-get install flite"):
        flite.say("a", flite.FliteVoice("slt"))


@needs_flite
def test_flite_phones_cover_its_sound() -> None:
    rate, sound, phones = flite.say("Papa.", flite.FliteVoice("kal16"))
    assert phones[0].start_s == 0
    assert phones[-1].end_s == pytest.approx(len(sound) / rate, abs=0.06)
    assert [p.name for p in phones].count("p") == 2


def test_burst_is_found() -> None:
    rng = np.random.default_rng(0)
    sound = np.concatenate((0.3 * np.sin(np.arange(1600) * 0.05), np.zeros(800), 0.2 * rng.normal(size=800)))
    assert flite.burst(sound.astype(np.float32), 16_000, 0.1, 0.2) == pytest.approx(0.15, abs=0.012)


def test_decimated_sound_keeps_its_length_and_place() -> None:
    click = np.zeros(22_050, np.float32)
    click[11_025] = 1
    low = to_16k(click, 22_050)
    assert abs(len(low) - 16_000) <= 1
    assert abs(int(np.abs(low).argmax()) - 8000) <= 12  # the live filter's 0.65 ms


def an_utterance(name: str, steps: int, split: str = "train") -> utterances.Utterance:
    rng = np.random.default_rng(steps)
    phones = (Phone(0.25, 0.5, 4), Phone(0.5, 0.625, 9))
    moved = rng.random((steps, len(ARTICULATORS))).astype(np.float16)
    sound = rng.integers(-9, 9, steps * 320 + 7).astype(np.int16)
    return utterances.Utterance(name, "de", "m1", "espeak", split, sound, phones, moved)  # type: ignore[arg-type]


def test_shards_give_back_what_was_written(tmp_path: Path) -> None:
    made = [an_utterance("a", 40), an_utterance("b", 0), an_utterance("c", 55, "test")]
    utterances.save(tmp_path / "x.npz", made)
    for was, now in zip(made, utterances.load(tmp_path / "x.npz"), strict=True):
        assert (was.name, was.split, was.phones) == (now.name, now.split, now.phones)
        assert np.array_equal(was.sound, now.sound)
        assert np.array_equal(was.articulators, now.articulators)
        assert len(now.classes) == now.steps
    assert [u.name for u in utterances.utterances_in(tmp_path, ("test",))] == ["c"]


def test_a_damaged_shard_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpeechError, match="no speech"):
        list(utterances.utterances_in(tmp_path))
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(SpeechError, match="damaged"):
        utterances.load(tmp_path / "bad.npz")


def test_silence_and_noise_leave_the_mouth_shut() -> None:
    for utterance in synthesis.silences("train", 20, Surroundings(), np.random.default_rng(3)):
        assert not utterance.articulators.any()
        assert not utterance.classes.any()
        assert len(utterance.articulators) == utterance.steps


GRID_LINES = "0 5000 sil\n5000 12500 bin\n12500 20000 x\n20000 25000 sil\n"


def test_grid_words(tmp_path: Path) -> None:
    (tmp_path / "a.align").write_text(GRID_LINES)
    first, second = recordings.grid_words(tmp_path / "a.align")
    assert names(first.classes) == ["b", "ih", "n"]
    assert (first.start_s, first.end_s) == (0.2, 0.5)
    assert names(second.classes) == ["eh", "k", "s"]
    (tmp_path / "b.align").write_text("0 10 sesquipedalian\n")
    with pytest.raises(SpeechError, match="none of GRID's"):
        recordings.grid_words(tmp_path / "b.align")
    assert len(recordings.LEXICON) == 51


SHORT = (
    'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n1\n<exists>\n2\n"IntervalTier"\n"words"\n0\n1\n1\n0\n1\n'
    '"say ""hm"""\n"IntervalTier"\n"phones"\n0\n1\n3\n0\n0.5\n"P"\n0.5\n0.75\n"AY1"\n0.75\n1\n""\n'
)
LONG = (
    'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = 1\ntiers? <exists>\nsize = 1\nitem []:\n'
    '    item [1]:\n        class = "IntervalTier"\n        name = "phones"\n        xmin = 0\n        xmax = 1\n'
    "        intervals: size = 1\n        intervals [1]:\n            xmin = 0.25\n            xmax = 1\n"
    '            text = "M"\n'
)


def test_textgrids_long_and_short(tmp_path: Path) -> None:
    (tmp_path / "short.TextGrid").write_text(SHORT)
    tiers = recordings.textgrid(tmp_path / "short.TextGrid")
    assert tiers["words"] == [(0.0, 1.0, 'say "hm"')]
    assert [p.name for p in recordings.textgrid_phones(tmp_path / "short.TextGrid")] == ["p", "a", "ih"]
    (tmp_path / "long.TextGrid").write_text(LONG, "utf-16")
    shift = recordings.WINDOW_SHIFT_S
    assert recordings.textgrid_phones(tmp_path / "long.TextGrid") == [Phone(0.25 + shift, 1.0 + shift, CLASS["m"])]


def test_bad_recordings_are_told_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "words.TextGrid").write_text(SHORT.replace('"phones"', '"notes"'))
    (tmp_path / "cut.TextGrid").write_text(SHORT[:-30])
    (tmp_path / "mute.TextGrid").write_text(SHORT)
    (tmp_path / "labels.json").write_text('{"a": {"spk": "1", "phones": ["M_B"]}}')
    (tmp_path / "b.npz").write_bytes(b"")
    tally = Tally()
    assert list(textgrids(tmp_path, tally)) == []
    assert list(speechocean(tmp_path, tally)) == []
    assert list(grid(tmp_path, tmp_path, tally)) == []
    assert sum(tally.reasons.values()) == 5
    assert tally.reasons["empty phone tier"] == 1
    assert len(capsys.readouterr().err.splitlines()) == 5


def test_boundary_errors_count_breath_to_its_stop() -> None:
    p, hh, a = CLASS["p"], CLASS["hh"], CLASS["a"]
    found = [Phone(0.1, 0.2, p), Phone(0.2, 0.25, hh), Phone(0.25, 0.4, a)]
    truth = [Phone(0.11, 0.25, p), Phone(0.25, 0.4, a)]
    assert boundary_errors(found, truth) == pytest.approx([-0.01, 0.0])
    with pytest.raises(ValueError, match="different phones"):
        boundary_errors(found, truth[:1])


@needs_espeak
def test_the_command_makes_shards_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["speech", "--out", str(tmp_path), "--minutes", "0.1", "--languages", "es", "--no-flite"]
    assert main(words) == 0
    train = list(utterances.utterances_in(tmp_path))
    assert {u.source for u in train} >= {"espeak"}
    spoken = next(u for u in train if u.phones)
    assert spoken.articulators.shape == (spoken.steps, len(ARTICULATORS))
    assert 0.2 < float(spoken.articulators[:, 0].max()) <= 1
    capsys.readouterr()
    assert main(words) == 0
    assert "0.0 minutes" in capsys.readouterr().out


def test_options_that_do_not_go_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speech", "--out", str(tmp_path), "--grid", str(tmp_path)]) == 1
    assert "--tracks" in capsys.readouterr().err
    parser = argparse.ArgumentParser()
    prepare.add_arguments(parser)
    assert parser.parse_args(["--out", "x"]).minutes == 60


def test_int16_clips() -> None:
    assert to_int16(np.array([2.0, -2.0, 0.0], np.float32)).tolist() == [32767, -32768, 0]
