"""What the mouth network is trained on: real lips and articulated speech as one kind of example."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import Channel
from engine.features.mel import FRAMES_PER_STEP, mel_of
from engine.motion.visemes import ARTICULATORS, CHANNELS_OF, controls_of
from training.data.splits import Split, split_of
from training.data.tracks import STEP_SAMPLES, Track, TrackError, tracks_in
from training.evaluate.face import face_of, opening
from training.speech.phones import CLOSED, SIL
from training.speech.utterances import Utterance, load

MET: Final = 0.02
"""Inner-lip gap, share of the outer-eye distance, below which lips count as met (`measuring.md`'s definition of a closure)."""
PARTED: Final = 0.04
CLOSE: Final = ARTICULATORS.index("close")
_JAW: Final = ARTICULATORS.index("jaw")
_RECORDED: Final = ("speechocean", "prompts", "transcribed")
SPOKEN_JAW: Final = 1.15
"""The articulation model's jaw is that of the tracks; here it also stands for what lips open by shapes that no articulator
names (`_opened_as_measured`), by so much on GRID."""
_REACH: Final = 2  # steps of 20 ms by which a real closure may miss its phone


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """Sound and what a mouth does for it; T motion steps of 20 ms.

    Attributes:
        name: for messages.
        kind: `real` (lips that were filmed), `spoken` (recordings with targets by articulation), `synthetic`, `quiet`.
        split: part of the data.
        sound: float32[320 T] at 16 kHz.
        shapes: float32[T, 9] articulators at t 20 ms (`ARTICULATORS`); `close` is 0..1.
        trusted: float32[T, 9], the weight of each.
        phones: int16[T], classes of `training.speech.phones`; -1 unknown.
    """

    name: str
    kind: str
    split: Split
    sound: NDArray[np.float32]
    shapes: NDArray[np.float32]
    trusted: NDArray[np.float32]
    phones: NDArray[np.int16]

    @property
    def steps(self) -> int:
        """Motion steps."""
        return len(self.phones)

    @property
    def mel(self) -> NDArray[np.float32]:
        """float32[T, 2, 40]."""
        return pairs(self.sound)


def pairs(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[T, 2, 40]: log-mel of float32[320 T] at 16 kHz, as a network takes it."""
    mel = mel_of(sound)
    steps = len(mel) // FRAMES_PER_STEP
    return mel[: steps * FRAMES_PER_STEP].reshape(steps, FRAMES_PER_STEP, -1)


def real_examples(tracks: Path, alignments: Path) -> Iterator[Example]:
    """Examples of filmed lips; those of people who are test only are left out.

    Raises:
        TrackError: if there is no track to train on.
    """
    aligned = {u.name: u for u in _utterances(alignments)}
    found = False
    for track in tracks_in(tracks):
        split = split_of(track.source, track.name, track.speaker)
        if track.source != "grid_s1" and split == "test":
            continue
        if len(track.sound) < STEP_SAMPLES or not track.moving.any():
            continue
        found = True
        yield _of_track(track, split, aligned.get(track.name))
    if not found:
        raise TrackError(f"no track in {tracks} may be trained on: prepare some with python -m training prepare")


def _of_track(track: Track, split: Split, aligned: Utterance | None) -> Example:
    steps = min(len(track.controls), len(track.sound) // STEP_SAMPLES)
    sound = track.sound[: steps * STEP_SAMPLES].astype(np.float32) / np.float32(32768)
    phones = np.full(steps, -1, np.int16)
    if aligned is not None:
        known = min(steps, aligned.steps)
        phones[:known] = aligned.classes[:known]
    shapes, trusted = articulators_of(track, phones)
    return Example(track.name, "real", split, sound, shapes[:steps], trusted[:steps], phones)


def articulators_of(track: Track, phones: NDArray[np.int16]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Articulators float32[T, 9] and their weights that a track's controls stand for.

    `close` is told from the measured gap: met at a bilabial or in a pause, parted elsewhere, not told in between.
    In a pause the mouth is shut whatever the lips of the person did: a listener's lips may part, an avatar's should not.
    """
    steps = len(phones)
    controls, gap = track.controls[:steps], track.gap[:steps]
    shapes = np.zeros((steps, len(ARTICULATORS)), np.float32)
    for name, channels in CHANNELS_OF.items():
        shapes[:, ARTICULATORS.index(name)] = controls[:, [Channel[c] for c in channels]].mean(1)
    _opened_as_measured(shapes, gap, track.neutral)
    met = gap < MET
    bilabial = _near(np.isin(phones, list(CLOSED)), _REACH)
    shapes[:, CLOSE] = met & (bilabial | (phones < 0))
    trusted = np.repeat(track.moving[:steps, None].astype(np.float32), len(ARTICULATORS), 1)
    trusted[(gap >= MET) & (gap < PARTED), CLOSE] = 0
    trusted[met & ~bilabial, CLOSE] = 0
    pause = _pause(phones)
    shapes[pause] = 0
    trusted[pause] = 1
    trusted[pause, CLOSE] = 0
    return shapes, trusted


def _opened_as_measured(shapes: NDArray[np.float32], gap: NDArray[np.float32], neutral: NDArray[np.float32]) -> None:
    """Move the jaw so that the lips of the person's rig are as far apart under these articulators alone as they were seen.

    The tracks' fit has more shapes than there are articulators; left out without this, they take a quarter of the
    gap's variance with them.
    """
    face = face_of(neutral)
    wanted = np.maximum(gap - opening(face.rest[None]), 0)
    for _ in range(2):
        further = shapes.copy()
        further[:, _JAW] += _NUDGE
        now, then = (face.gap(face.lips(controls_of(each))) for each in (shapes, further))
        slope = np.maximum((then - now) / _NUDGE, 0.08)
        shapes[:, _JAW] = np.clip(shapes[:, _JAW] + (wanted - now) / slope, 0, 1)


_NUDGE: Final = 0.05


def _pause(phones: NDArray[np.int16], margin: int = 4) -> NDArray[np.bool_]:
    """Silence that is at least `margin` steps away from speech."""
    return ~_near(phones != SIL, margin)


def _near(flags: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    return np.convolve(flags, np.ones(2 * reach + 1), "same") > 0.5


def _utterances(folder: Path) -> Iterator[Utterance]:
    for path in sorted(folder.rglob("*.npz")):
        yield from load(path)


def spoken_examples(folder: Path) -> Iterator[Example]:
    """Examples of articulated speech in shards below `folder`; what belongs to people who are test only is left out."""
    for utterance in _utterances(folder):
        if utterance.source in ("grid_s1", "grid", "aligned") or not utterance.steps:
            continue
        kind = "quiet" if utterance.source in ("silence", "noise") else "synthetic"
        yield _of_utterance(utterance, "spoken" if utterance.source in _RECORDED else kind)


def _of_utterance(utterance: Utterance, kind: str) -> Example:
    steps = utterance.steps
    shapes = utterance.articulators[:steps].astype(np.float32)
    shapes[:, _JAW] *= SPOKEN_JAW
    phones = utterance.classes[:steps].astype(np.int16)
    trusted = np.ones_like(shapes)
    trusted[phones == SIL, CLOSE] = 0
    sound = utterance.sound[: steps * STEP_SAMPLES].astype(np.float32) / np.float32(32768)
    return Example(utterance.name, kind, utterance.split, sound, shapes, trusted, phones)


def of_split(examples: Sequence[Example], split: Split) -> list[Example]:
    """Those of one part of the data."""
    return [example for example in examples if example.split == split]
