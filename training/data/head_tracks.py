"""Head motion of clips, steady and at 50 Hz, beside its sound: what the head motion learners are trained on and judged by."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from engine.face.pose import steadied
from training.data.splits import Split, split_of
from training.data.tracks import Track, TrackError, tracks_in

LEAST_S: Final = 2.5
"""A shorter stretch tells too little of a person's rhythm."""
LOUD_MEL: Final = -0.55
"""Mean log-mel over which a step of a clip counts as sounding; -60 dB of full scale is -0.5 in a busy band."""
SOUNDING: Final = 0.25
"""Least share of sounding steps in a clip that is taken to be heard talking."""


@dataclass(frozen=True, slots=True, eq=False)
class HeadClip:
    """One clip.

    Attributes:
        name, source: of the track.
        split: who may be trained on.
        mel: float32[2 M, 40], `engine.features.mel`; the frames 2 n and 2 n + 1 end with the step that begins at n 20 ms.
        sound: float32[320 M] at 16 kHz.
        pose: float32[M, 6] at n 20 ms, less its mean over the clip; yaw, pitch, roll in degrees, tx, ty, tz in u.
        heard: whether its sound is the person's speech; if not, mel and sound mean nothing.
    """

    name: str
    source: str
    split: Split
    mel: NDArray[np.float32]
    sound: NDArray[np.float32]
    pose: NDArray[np.float32]
    heard: bool


def clip_of(track: Track) -> HeadClip | None:
    """The longest stretch of valid frames of a track, or None if it is shorter than `LEAST_S`."""
    first, last = _longest(track.valid)
    if (last - first) / track.fps < LEAST_S:
        return None
    gap = np.linalg.norm(track.landmarks[first:last, 13] - track.landmarks[first:last, 14], axis=1)
    pose = steadied(track.pose[first:last], gap, track.fps)
    skip = round(first / track.fps * 50)
    sound = track.sound[320 * skip :][: 320 * len(pose)].astype(np.float32) / np.float32(32768)
    mel = track.mel[2 * skip :][: 2 * len(pose)].astype(np.float32)
    sound = np.pad(sound, (0, 320 * len(pose) - len(sound)))
    mel = np.pad(mel, ((0, 2 * len(pose) - len(mel)), (0, 0)), constant_values=-1)
    return head_clip(track.name, track.source, mel, sound, pose)


def head_clip(
    name: str, source: str, mel: NDArray[np.float32], sound: NDArray[np.float32], pose: NDArray[np.float32]
) -> HeadClip:
    """A clip of arrays of matching lengths; see `HeadClip`."""
    heard = "silent" not in source and bool((mel.mean(1) > LOUD_MEL).mean() > SOUNDING)
    return HeadClip(name, source, split_of(source, name), mel, sound, pose - pose.mean(0), heard)


def save_clips(path: Path, clips: Iterable[HeadClip]) -> None:
    """Write clips to one small file (GRID's 280: 30 MB), to train on another machine."""
    rows = list(clips)
    arrays: dict[str, NDArray[np.generic]] = {name: np.array([getattr(clip, name) for clip in rows]) for name in _NAMES}
    for index, clip in enumerate(rows):
        arrays[f"mel{index}"], arrays[f"pose{index}"] = clip.mel.astype(np.float16), clip.pose
        arrays[f"sound{index}"] = np.round(clip.sound * 32767).astype(np.int16)
    np.savez_compressed(path, allow_pickle=False, **arrays)


def _loaded(path: Path) -> Iterator[HeadClip]:
    try:
        with np.load(path, allow_pickle=False) as file:
            for index, (name, source, split, heard) in enumerate(zip(*(file[key].tolist() for key in _NAMES), strict=True)):
                mel, sound = (
                    file[f"mel{index}"].astype(np.float32),
                    file[f"sound{index}"].astype(np.float32) / np.float32(32767),
                )
                yield HeadClip(name, source, split, mel, sound, file[f"pose{index}"], heard)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise TrackError(f"{path} holds no clips of heads: make it anew with save_clips ({error})") from error


_NAMES: Final = ("name", "source", "split", "heard")


def head_clips(folder: Path) -> Iterator[HeadClip]:
    """The clips of all usable tracks below a folder, or those in a file that `save_clips` wrote.

    Raises:
        TrackError: if there are none, or the file is damaged.
    """
    if folder.suffix == ".npz":
        yield from _loaded(folder)
        return
    for track in tracks_in(folder):
        clip = clip_of(track)
        if clip is not None:
            yield clip


def _longest(valid: NDArray[np.bool_]) -> tuple[int, int]:
    """First and one past the last frame of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], valid, [False]]).astype(np.int8)))
    runs = edges.reshape(-1, 2)
    if not len(runs):
        return 0, 0
    first, last = runs[np.argmax(runs[:, 1] - runs[:, 0])].tolist()
    return first, last
