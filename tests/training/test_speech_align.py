"""Finding known phones in what a recogniser hears, and the recogniser itself."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training.speech import recogniser  # noqa: E402 - torch first
from training.speech.align import SHORTEST, Word, align  # noqa: E402 - torch first
from training.speech.errors import SpeechError  # noqa: E402 - torch first
from training.speech.noise import Surroundings  # noqa: E402 - torch first
from training.speech.phones import BREATH, CLASS, PHONES, SIL, Phone  # noqa: E402 - torch first
from training.speech.recogniser import CENTRE_S, FRAME_S, SEGMENT, UNKNOWN, Labelled, Recogniser, heard  # noqa: E402 - torch first


def heard_as(runs: str, sure: float = 4.0) -> np.ndarray:
    """float32[T, 44]: log-odds of runs such as "sil:10 m:5 a:12"."""
    rows: list[int] = []
    for run in runs.split():
        name, count = run.split(":")
        rows += [CLASS[name]] * int(count)
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 0.3, (len(rows), len(PHONES))).astype(np.float32)
    logits[np.arange(len(rows)), rows] += sure
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def word(names: str, start: float = -np.inf, end: float = np.inf) -> Word:
    return Word(tuple(CLASS[name] for name in names.split()), start, end)


def test_boundaries_are_where_the_sound_changes() -> None:
    found = align(heard_as("sil:10 m:6 a:12 t:8 iy:9 sil:7"), [word("m a"), word("t iy")])
    assert [p.name for p in found] == ["m", "a", "t", "iy"]
    starts = [10, 16, 28, 36]
    assert [p.start_s for p in found] == pytest.approx([CENTRE_S + (s - 0.5) * FRAME_S for s in starts], abs=1e-4)
    assert all(a.end_s == b.start_s for a, b in itertools.pairwise(found))


def test_breath_and_pauses_are_found_where_they_are() -> None:
    found = align(heard_as("p:8 hh:5 a:9 sil:20 p:8 a:10"), [word("p a"), word("p a")])
    assert [p.name for p in found] == ["p", "hh", "a", "p", "a"]
    assert found[3].start_s - found[2].end_s == pytest.approx(0.2, abs=1e-3)
    assert found[1].index == BREATH


def test_every_phone_gets_its_place_even_unheard() -> None:
    found = align(heard_as("sil:5 a:20 s:10"), [word("a n s")])
    assert [p.name for p in found] == ["a", "n", "s"]
    assert found[1].end_s - found[1].start_s == pytest.approx(SHORTEST * FRAME_S, abs=1e-3)


def test_equal_neighbours_are_two() -> None:
    found = align(heard_as("n:12"), [word("n"), word("n")])
    assert len(found) == 2
    assert all(p.end_s - p.start_s >= SHORTEST * FRAME_S - 0.01 for p in found)


def test_known_times_hold_a_word() -> None:
    sound = heard_as("a:10 sil:40 a:10 sil:10")
    late = align(sound, [word("a", 0.5, 0.6)], slack_s=0.05)
    early = align(sound, [word("a", 0.0, 0.1)], slack_s=0.05)
    assert late[0].start_s == pytest.approx(0.5, abs=0.06)
    assert early[0].start_s == 0


@pytest.mark.parametrize(
    ("words", "message"), [([], "empty phone tier"), ([Word(())], "empty phone tier"), ([word("a " * 40)], "room")]
)
def test_what_cannot_be_aligned_is_refused(words: list[Word], message: str) -> None:
    with pytest.raises(SpeechError, match=message):
        align(heard_as("a:20"), words)


def test_hearing_does_not_depend_on_level_or_microphone() -> None:
    rng = np.random.default_rng(0)
    sound = (0.05 * rng.normal(size=16_000) * np.repeat(rng.random(100), 160)).astype(np.float32)
    assert heard(sound).shape == (100, 40)
    assert np.allclose(heard(sound), heard(sound * 0.1), atol=0.02)
    assert np.abs(heard(sound).mean(axis=0)).max() < 1e-4
    assert heard(sound[:0]).shape == (0, 40)


def test_labels_follow_frames() -> None:
    labels = recogniser.labels([Phone(0.05, 0.1, 7)], 15)
    assert labels.tolist() == [SIL] * 6 + [7] * 5 + [SIL] * 4


def test_a_recogniser_learns_and_survives_its_file(tmp_path) -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    time = np.arange(24_000) / 16_000
    sound = np.where(time < 0.7, np.sin(6.28 * 300 * time), 0.3 * rng.normal(size=24_000)).astype(np.float32) * 0.2
    corpus = [Labelled(sound, (Phone(0.0, 0.7, CLASS["a"]), Phone(0.7, 1.5, CLASS["s"])))]
    told = list(recogniser.train(corpus, Surroundings(), 3, 0, Recogniser(16), 2))
    step, loss, model = told[-1]
    assert step == 3
    assert loss < np.log(len(PHONES)) + 1
    recogniser.save(model, tmp_path / "r.pt")
    again = recogniser.load(tmp_path / "r.pt")
    assert np.allclose(model.log_odds(sound), again.log_odds(sound))
    assert again.log_odds(sound).shape == (150, len(PHONES))


def test_batches_are_padded_and_not_learnt_there() -> None:
    short = Labelled(np.full(8000, 0.01, np.float32), (Phone(0.1, 0.3, 5),))
    mel, target = next(recogniser.batches([short], Surroundings(), 2, np.random.default_rng(0)))
    assert mel.shape == (2, SEGMENT, 40)
    assert (target[:, -50:] == UNKNOWN).all()
