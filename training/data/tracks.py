"""One clip's aligned data: what a voice network is trained on and judged by."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import MienError
from engine.timeline import MOTION_RATE_HZ

SOUND_RATE_HZ = 16_000
STEP_SAMPLES = SOUND_RATE_HZ // MOTION_RATE_HZ
"""Samples of sound per motion step: 320."""


class TrackError(MienError):
    """A track file that cannot be read."""


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Sound and motion of one clip of one person.

    Instants: sample 0 of the sound is the start of the first video frame;
    `controls[n]` is the motion at n 20 ms; video frame i depicts (i + 0.5) / fps.

    Attributes:
        name: file name of the clip without suffix.
        source: the folder that it came from (see `training.data.splits`).
        speaker: the person.
        fps: of the video.
        sound: int16[N] at 16 kHz, through the live path's own decimator.
        mel: float16[N // 160, 40], `engine.features.mel.mel_of` of the sound.
        landmarks: float32[F, 478, 3], one per video frame: the head's own frame, de-posed, in u (outer-eye distance);
            x to the person's left (image right), y down, z towards the camera.
        pose: float32[F, 6]: yaw, pitch, roll in degrees; tx, ty, tz in u from the clip's mean (engine.contract.motion).
        crop: float32[F, 3]: centre x, y and side in px of the square about the face.
        valid: bool[F], where a face was found and trusted.
        controls: float32[M, 58] at 50 Hz, fitted to the rig of the clip's own neutral face; gaze and blink among them.
        gap: float32[M], inner lips' distance in the middle, share of the outer-eye distance.
        width: float32[M], mouth corners' distance in u.
        eye: float32[M, 2], opening of the person's left and right eye over its width.
        moving: bool[M], where the controls come from valid frames.
        neutral: float32[478, 3], the clip's neutral face, in the frame of `landmarks`.
    """

    name: str
    source: str
    speaker: str
    fps: float
    sound: NDArray[np.int16]
    mel: NDArray[np.float16]
    landmarks: NDArray[np.float32]
    pose: NDArray[np.float32]
    crop: NDArray[np.float32]
    valid: NDArray[np.bool_]
    controls: NDArray[np.float32]
    gap: NDArray[np.float32]
    width: NDArray[np.float32]
    eye: NDArray[np.float32]
    moving: NDArray[np.bool_]
    neutral: NDArray[np.float32]

    @property
    def seconds(self) -> float:
        """Length of the motion."""
        return len(self.controls) / MOTION_RATE_HZ

    def save(self, path: Path) -> None:
        """Write the track; a reader sees all of it or nothing."""
        part = path.with_name(path.name + ".part")
        with part.open("wb") as file:
            arrays: dict[str, Any] = {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}
            np.savez_compressed(file, **arrays)
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Track":
        """Read a track.

        Raises:
            TrackError: if the file is damaged or of another kind.
        """
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                values = {field.name: file[field.name] for field in fields(cls)}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise TrackError(f"{path} is no track, or damaged: prepare it again ({error})") from error
        scalars = {name: values[name].item() for name in ("name", "source", "speaker", "fps")}
        return cls(**{**values, **scalars})


def tracks_in(folder: Path) -> Iterator[Track]:
    """All tracks below a folder, in the order of their paths.

    Raises:
        TrackError: if there are none.
    """
    paths = sorted(folder.rglob("*.npz"))
    if not paths:
        raise TrackError(f"no tracks in {folder}: make them with python -m training prepare FOLDER --out {folder}")
    yield from map(Track.load, paths)
