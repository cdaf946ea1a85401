"""Recordings with known words become utterances: an aligner trained on synthetic speech, then on what it aligned itself."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.errors import MienError
from training.data.splits import split_of
from training.data.tracks import Track
from training.speech import coarticulation, recogniser, recordings, utterances
from training.speech.align import Word, align
from training.speech.errors import SpeechError
from training.speech.flite import burst
from training.speech.noise import Surroundings
from training.speech.phones import BREATH, VOICELESS, Phone
from training.speech.recogniser import Labelled, Recogniser
from training.speech.sound import read, to_int16
from training.speech.synthesis import with_articulation
from training.speech.utterances import Utterance

GRID_SLACK_S: Final = 0.12
"""By how much GRID's own word times may be wrong."""
ROUNDS: Final = 2
"""Trainings on synthetic speech and what the round before aligned."""


@dataclass(slots=True)
class Tally:
    """What was left out and why; each is told in one line."""

    reasons: Counter[str] = field(default_factory=Counter)

    def leave_out(self, error: MienError) -> None:
        """Tell and count."""
        sys.stderr.write(f"left out: {error}\n")
        self.reasons[str(error).rsplit(": ", 1)[-1].split(" (")[0]] += 1


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A recording to be aligned; sound float32[N] at 16 kHz, sample 0 at the start of the clip's first picture."""

    name: str
    source: str
    speaker: str
    sound: NDArray[np.float32]
    words: tuple[Word, ...]

    def aligned(self, model: Recogniser) -> Utterance:
        """With its phones' times and articulation.

        Raises:
            SpeechError: if its phones cannot be found in it.
        """
        try:
            phones = tuple(align(model.log_odds(self.sound), self.words, GRID_SLACK_S))
        except SpeechError as error:
            raise SpeechError(f"{self.name}: {error}") from error
        return _utterance(self.name, self.source, self.speaker, self.sound, phones)


def grid(tracks: Path, folder: Path, tally: Tally) -> Iterator[Recording]:
    """GRID's clips: the sound of their tracks, the words of the `.align` files beside the videos."""
    for path in sorted(tracks.rglob("*.npz")):
        try:
            words = recordings.grid_words(folder / f"{path.stem}.align")
            track = Track.load(path)
        except MienError as error:
            tally.leave_out(error)
            continue
        yield Recording(track.name, "grid_s1", "grid_s1", track.sound.astype(np.float32) / np.float32(32768), words)


def speechocean(folder: Path, tally: Tally) -> Iterator[Recording]:
    """speechocean762's sentences."""
    for transcript in recordings.speechocean(folder):
        try:
            sound = read(transcript.path)
        except SpeechError as error:
            tally.leave_out(error)
            continue
        yield Recording(transcript.path.stem, "speechocean", transcript.speaker, sound, transcript.words)


def textgrids(folder: Path, tally: Tally) -> Iterator[Utterance]:
    """Recordings with a phone tier, as it says; voiceless stops are cut at their bursts as everywhere here."""
    for path in sorted(folder.glob("*.TextGrid")):
        sounds = [p for p in sorted(folder.glob(f"{path.stem}.*")) if p.suffix in (".wav", ".flac", ".mp3")]
        try:
            phones = recordings.textgrid_phones(path)
            if not sounds:
                raise SpeechError(f"{path.name}: no sound beside it")
            sound = read(sounds[0])
        except SpeechError as error:
            tally.leave_out(error)
            continue
        yield _utterance(path.stem, "aligned", path.stem, sound, tuple(_cut_at_bursts(phones, sound)))


def _cut_at_bursts(phones: Sequence[Phone], sound: NDArray[np.float32]) -> Iterator[Phone]:
    for phone in phones:
        released = burst(sound, 16_000, phone.start_s, phone.end_s) if phone.index in VOICELESS else phone.end_s
        if phone.name == "ch" or phone.end_s - released < 0.012:
            yield phone
        else:
            yield Phone(phone.start_s, released, phone.index)
            yield Phone(released, phone.end_s, BREATH)


def _utterance(name: str, source: str, speaker: str, sound: NDArray[np.float32], phones: tuple[Phone, ...]) -> Utterance:
    language = "en-gb" if source == "grid_s1" else "en-us"
    split = split_of(source, name, speaker)
    model = coarticulation.calibrated()
    return with_articulation(name, language, speaker, source, split, to_int16(sound), phones, model)


def train_aligner(
    spoken: Sequence[Utterance],
    real: Sequence[Recording],
    around: Surroundings,
    steps: int,
    tell: Callable[[str], None],
) -> Recogniser:
    """An aligner: `steps` on synthetic speech, half as many in each of `ROUNDS` with the recordings of the training split."""
    corpus = [Labelled(_floats(u), u.phones) for u in spoken]
    model = _trained(corpus, around, steps, 0, None, tell)
    kept = [r for r in real if split_of(r.source, r.name, r.speaker) == "train"]
    for number in range(1, ROUNDS + 1 if kept else 1):
        aligned = list(aligned_all(kept, model, Tally()))
        repeat = max(round(0.5 * _seconds(spoken) / max(_seconds(aligned), 1.0)), 1)
        more = [Labelled(_floats(u), u.phones) for u in aligned] * repeat
        model = _trained([*corpus, *more], around, steps // 2, number, model, tell)
    return model


def _trained(
    corpus: Sequence[Labelled],
    around: Surroundings,
    steps: int,
    number: int,
    model: Recogniser | None,
    tell: Callable[[str], None],
) -> Recogniser:
    trained = model
    for step, loss, trained in recogniser.train(corpus, around, steps, number, model):  # noqa: B007 - the last is kept
        tell(f"aligner, round {number}: step {step} of {steps}, loss {loss:.3f}")
    if trained is None:
        raise SpeechError("an aligner needs at least one step")
    return trained


def aligned_all(real: Sequence[Recording], model: Recogniser, tally: Tally) -> Iterator[Utterance]:
    """The recordings that can be aligned."""
    for recording in real:
        try:
            yield recording.aligned(model)
        except SpeechError as error:
            tally.leave_out(error)


def write(out: Path, name: str, made: Sequence[Utterance], *, each: bool) -> None:
    """Write utterances: one file `name/UTTERANCE.npz` for each, or one shard for each split."""
    if each:
        (out / name).mkdir(parents=True, exist_ok=True)
        for utterance in made:
            utterances.save(out / name / f"{utterance.name}.npz", [utterance])
        return
    for split in sorted({u.split for u in made}):
        utterances.save(out / f"{name}-{split}.npz", [u for u in made if u.split == split])


def boundary_errors(found: Sequence[Phone], truth: Sequence[Phone]) -> NDArray[np.float64]:
    """float64[n], found minus true starts in seconds, of two alignments of the same phones.

    A breath counts to its stop. Raises:
        ValueError: if the phones are not the same.
    """
    ours, theirs = _merged(found), _merged(truth)
    if [p.index for p in ours] != [p.index for p in theirs]:
        raise ValueError("alignments of different phones cannot be compared")
    return np.array([a.start_s - b.start_s for a, b in zip(ours, theirs, strict=True)])


def _merged(phones: Sequence[Phone]) -> list[Phone]:
    out: list[Phone] = []
    for phone in phones:
        if phone.index == BREATH and out and out[-1].index in VOICELESS:
            out[-1] = Phone(out[-1].start_s, phone.end_s, out[-1].index)
        else:
            out.append(phone)
    return out


def _floats(utterance: Utterance) -> NDArray[np.float32]:
    return utterance.sound.astype(np.float32) / np.float32(32768)


def _seconds(spoken: Sequence[Utterance]) -> float:
    return sum(u.seconds for u in spoken)
