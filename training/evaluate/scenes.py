"""What drivers are judged on: a sound, the face that it moves, and what is known of the real mouth and of the phones."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.features.mel import RATE_HZ
from engine.motion.visemes import controls_of
from training.data.splits import Split, split_of
from training.data.tracks import Track, tracks_in
from training.evaluate.face import LIPS, face_of, opening
from training.evaluate.metrics import PAUSE_S
from training.speech.phones import CLOSED, OPEN_VOWELS, SIL, VOWELS
from training.speech.utterances import Utterance, utterances_in

Span = tuple[float, float]
"""Begin and end in seconds."""

GROUPS: Final = {
    "validation": "GRID validation: speaker known, sentences not; what the networks are tuned on",
    "test": "GRID test: speaker known, sentences not",
    "speakers": "held-out speakers: addresses and consented clips",
    "aligned": "speech with phones aligned by others, never trained on",
    "voices": "recordings of held-out speakers, phones aligned by machine",
    "synthetic": "synthetic speech, held-out voices and texts, all languages",
}
SPEECH_DB, SPEECH_U = 12.0, 0.02
"""How much the level and the lips' gap (u) of a clip vary at least if someone speaks in it."""
MOST_UTTERANCES: Final = {"voices": 24}
"""Of a group; 16 of each language of synthetic speech."""
LONGEST_S: Final = 0.3
"""Length beyond which a phone is an error of its alignment."""
FIT_DB: Final = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Phones:
    """Spans of a sound that say what a mouth must do there."""

    closing: Sequence[Span]
    open_vowels: Sequence[Span]
    pauses: Sequence[Span]


@dataclass(frozen=True, slots=True, eq=False)
class Real:
    """The filmed mouth, as MediaPipe saw it.

    Attributes:
        gap: float32[M] at 50 Hz, see `Track.gap`.
        moving: bool[M], where it is known.
        lips: float32[F, 40, 3] in u, see `training.evaluate.face.LIPS`; only frames that are trusted.
        instants: float64[F] s, the middle of each frame.
        controls: float32[M, 58], what makes the rig repeat it best, see `training.data.fit`.
    """

    gap: NDArray[np.float32]
    moving: NDArray[np.bool_]
    lips: NDArray[np.float32]
    instants: NDArray[np.float64]
    controls: NDArray[np.float32]

    @property
    def frame_gap(self) -> NDArray[np.float32]:
        """float32[F]: the gap at the frames themselves, where no interpolation has smoothed it."""
        return opening(self.lips)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One sound to be acted.

    Attributes:
        name: of the clip.
        group: see `GROUPS`; that of synthesised speech is `synthetic LANGUAGE`.
        sound: float32[N] at 16 kHz.
        neutral: float32[478, 3] in u: the face at rest.
        real: the filmed mouth, where there is one.
        phones: where they are known.
        target: float32[M] at 50 Hz, a gap that is wanted where nobody was filmed.
    """

    name: str
    group: str
    sound: NDArray[np.float32]
    neutral: NDArray[np.float32]
    real: Real | None = None
    phones: Phones | None = None
    target: NDArray[np.float32] | None = None


def filmed_scenes(folder: Path, phones: dict[str, Phones]) -> Iterator[Scene]:
    """The scenes of all tracks below `folder` that no training saw; those in which nobody speaks are left out."""
    for track in tracks_in(folder):
        group = _group(track)
        if group is not None and track.valid.any() and speaks(track):
            yield scene_of(track, group, phones.get(track.name))


def speaks(track: Track) -> bool:
    """Whether the sound goes up and down as speech does, and the lips move."""
    if len(track.sound) < RATE_HZ:
        return False
    level = levels((track.sound / 32768).astype(np.float32))
    louder, wider = np.ptp(np.percentile(level, (10, 95))), np.ptp(np.percentile(track.gap, (5, 95)))
    return bool(louder > SPEECH_DB and wider > SPEECH_U)


def scene_of(track: Track, group: str, phones: Phones | None) -> Scene:
    """A track as a scene; without phones its pauses are found by loudness."""
    sound = (track.sound / 32768).astype(np.float32)
    instants = ((np.arange(len(track.landmarks)) + 0.5) / track.fps).astype(np.float64)
    real = Real(track.gap, track.moving, track.landmarks[track.valid][:, LIPS], instants[track.valid], track.controls)
    known = phones or Phones((), (), quiet_spans(sound))
    return Scene(track.name, group, sound, track.neutral, real, known)


def phones_of(folder: Path) -> dict[str, Phones]:
    """Phones of filmed clips by name, as far as `folder` holds them."""
    return {u.name: spans_of(u) for u in _spoken(folder / "grid", ("test", "validation"))}


def _spoken(folder: Path, splits: tuple[Split, ...]) -> Iterator[Utterance]:
    """Those of a folder that may not be there."""
    if any(folder.glob("*.npz")):
        yield from utterances_in(folder, splits)


def spoken_scenes(folder: Path, neutral: NDArray[np.float32]) -> Iterator[Scene]:
    """Held-out speech of nobody that was filmed, acted by the face float32[478, 3] in u."""
    face, count = face_of(neutral), Counter[str]()
    for utterance in (*utterances_in(folder, ("test",)), *_spoken(folder / "aligned", ("test",))):
        group = _group_of_speech(utterance)
        if group is not None and not plausible(utterance):
            sys.stderr.write(f"left out {utterance.name}: its phones' times do not fit its sound\n")
            continue
        if group is None or count[group] >= MOST_UTTERANCES.get(group, 16):
            continue
        count[group] += 1
        wanted = face.gap(face.lips(controls_of(utterance.articulators.astype(np.float32))))
        made = group.startswith("synthetic")
        sound = (utterance.sound / 32768).astype(np.float32)
        yield Scene(utterance.name, group, sound, neutral, None, spans_of(utterance), wanted if made else None)


def spans_of(utterance: Utterance) -> Phones:
    """What the phones of an utterance ask of a mouth.

    Pauses are what lies between them and is quiet: words that nobody wrote
    down are no pause. Phones that last too long to be true are left out.
    """
    sounding = [phone for phone in utterance.phones if phone.index != SIL]
    times = [0.0, *(time for phone in sounding for time in (phone.start_s, phone.end_s)), utterance.seconds]
    pauses = [(a, b) for a, b in zip(times[::2], times[1::2], strict=True) if b - a >= PAUSE_S]
    level = levels((utterance.sound / 32768).astype(np.float32))
    credible = [phone for phone in sounding if phone.end_s - phone.start_s <= LONGEST_S]
    return Phones(
        closing=[(phone.start_s, phone.end_s) for phone in credible if phone.index in CLOSED],
        open_vowels=[(phone.start_s, phone.end_s) for phone in credible if phone.index in OPEN_VOWELS],
        pauses=[part for pause in pauses for part in _quiet_parts(level, *pause)],
    )


def _quiet_parts(level: NDArray[np.float64], begin_s: float, end_s: float) -> list[Span]:
    """The parts of a pause, of 0.5 s or more, without sounds as loud as speech."""
    loud = max(float(np.percentile(level, 95)) - 20, float(np.percentile(level, 10)) + 12)
    inside = np.arange(len(level)) / 50
    quiet = (level < loud) & (inside >= begin_s - 1e-6) & (inside + 0.02 <= end_s + 1e-6)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], quiet, [False])).astype(np.int8))) / 50
    return [(float(a), float(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= PAUSE_S - 1e-6]


def plausible(utterance: Utterance) -> bool:
    """Whether the phones' times fit the sound: vowels are louder than the rest."""
    level = levels((utterance.sound / 32768).astype(np.float32))
    classes = utterance.classes[: len(level)]
    vowels, silence = np.isin(classes, list(VOWELS)), classes == SIL
    if not vowels.any() or not silence.any():
        return True
    return bool(np.median(level[vowels]) > np.median(level[silence]) + FIT_DB)


def _group_of_speech(utterance: Utterance) -> str | None:
    if utterance.source in ("espeak", "flite"):
        return f"synthetic {utterance.language}"
    return {"aligned": "aligned", "speechocean": "voices"}.get(utterance.source)


def _group(track: Track) -> str | None:
    if track.source in ("us_officials", "consented"):
        return "speakers"
    split = split_of(track.source, track.name, track.speaker)
    return split if track.source == "grid_s1" and split != "train" else None


def levels(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    """float64[M] dB relative to full scale, of each 20 ms of float32[N] at 16 kHz."""
    step = RATE_HZ // 50
    power = (sound[: len(sound) // step * step].reshape(-1, step).astype(np.float64) ** 2).mean(1)
    return 10 * np.log10(power + 1e-10)


def quiet_spans(sound: NDArray[np.float32], least_s: float = 0.5, below_db: float = 28.0) -> list[Span]:
    """Spans of at least `least_s` where float32[N] at 16 kHz stays `below_db` under its loud parts."""
    level = levels(sound)
    quiet = np.concatenate(([False], level < np.percentile(level, 95) - below_db, [False]))
    edges = np.flatnonzero(np.diff(quiet.astype(np.int8))) / 50
    return [(float(a), float(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= least_s - 1e-6]
