"""Festival's segments as phones."""

import shutil

import numpy as np
import pytest

from training.speech import festival
from training.speech.errors import SpeechError
from training.speech.phones import PHONES, SIL

needs_festival = pytest.mark.skipif(shutil.which("festival") is None, reason="festival is not installed")


@pytest.mark.parametrize(
    ("language", "symbol", "expected"),
    [
        ("en-us", "axr", ["er"]), ("en-us", "nx", ["n"]), ("en-us", "h#", ["sil"]), ("it", "tS", ["ch"]), ("it", "O1", ["ao"]),
        ("cs", "r~*", ["sh"]), ("cs", "a:", ["a"]), ("fi", "7:", ["oe"]), ("ca", "rr", ["rt"]), ("ca", "?", ["hh"]),
    ],
)  # fmt: skip
def test_symbols(language: str, symbol: str, expected: list[str]) -> None:
    assert [PHONES[i] for i in festival.classes_of(language, symbol)] == expected


def test_a_stop_is_cut_at_its_burst_and_doubled_consonants_are_one() -> None:
    rng = np.random.default_rng(0)
    sound = np.sin(np.arange(16_000) * 0.05).astype(np.float32)
    sound[4800:6400] = 0
    sound[5760:6400] = 0.3 * rng.standard_normal(640)
    labels = "#\n0.1000 100 #\n0.3000 100 a\n0.3300 100 p:\n0.4000 100 p\n0.9000 100 a1\n1.2000 100 #\n"
    phones = festival.phones_of(labels, "it", sound, 16_000)
    assert [p.name for p in phones] == ["sil", "a", "p", "hh", "a", "sil"]
    assert phones[2].start_s == 0.3
    assert phones[2].end_s == pytest.approx(0.37, abs=0.01)
    assert phones[-1].end_s == 1.0


def test_the_plan_shares_the_minutes() -> None:
    assert festival.plan(0) == {}
    seconds = festival.plan(10)
    assert sum(seconds.values()) == pytest.approx(600)
    assert {festival.SPEAKERS[name].split for name in seconds} == {"train", "test"}


@needs_festival
def test_a_voice_says_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(festival, "BATCH", 1)
    try:
        spoken = list(festival.utterances("kal_diphone", "train", 1.0, np.random.default_rng(0)))
    except SpeechError as error:
        pytest.skip(str(error))
    assert {u.source for u in spoken} == {"festival"}
    assert all(p.index != SIL and 0 < p.start_s < p.end_s <= u.seconds for u in spoken for p in u.phones)


@needs_festival
def test_a_voice_that_is_not_there_is_told() -> None:
    festival.SPEAKERS["nobody"] = festival.SPEAKERS["kal_diphone"]
    try:
        with pytest.raises(SpeechError, match="no voice 'nobody'"):
            festival.say(["Hello."], "nobody")
    finally:
        del festival.SPEAKERS["nobody"]
