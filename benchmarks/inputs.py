"""What the suites are fed with: a voice and a portrait, those that ship with mien unless others are named."""

import difflib
from pathlib import Path
from typing import Final

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from engine.errors import AudioError, PortraitError
from engine.timeline import SAMPLE_RATE_HZ

ROOT: Final = Path(__file__).resolve().parent.parent
PORTRAITS: Final = ROOT / "engine" / "models" / "portraits"
PACKET: Final = SAMPLE_RATE_HZ // 50
SOUNDS: Final = ("opus", "ogg", "flac", "wav", "mp3", "m4a")
GAP_S: Final = 0.6
"""Silence between two rounds of a voice that is repeated."""


def portraits() -> dict[str, Path]:
    """The portraits that ship, by id."""
    return {file.stem: file for file in sorted(PORTRAITS.glob("*.mien"))}


def portrait(name: str | None) -> Path:
    """The file of a portrait: one that ships, by id, or any file; the first one if none is named.

    Raises:
        PortraitError: when there is none of that name.
    """
    known = portraits()
    if name is None:
        if not known:
            raise PortraitError("no portrait is shipped in engine/models/portraits; name a .mien file with --portrait")
        return next(iter(known.values()))
    if name in known:
        return known[name]
    if Path(name).is_file():
        return Path(name)
    near = difflib.get_close_matches(name, known, 1)
    meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}, and any .mien file"
    raise PortraitError(f"there is no portrait {name!r}; {meant}")


def sample() -> Path:
    """The sound file that ships.

    Raises:
        AudioError: when there is none.
    """
    found = [file for ending in SOUNDS for file in sorted((ROOT / "streaming").rglob(f"*.{ending}"))]
    if not found:
        raise AudioError("no voice is shipped; name a sound file with --audio")
    return found[0]


def voice(file: Path) -> NDArray[np.float32]:
    """A sound file as float32[N] mono at 48 kHz, whole packets, with `GAP_S` of silence at its end.

    Raises:
        AudioError: when it cannot be read.
    """
    try:
        with av.open(str(file)) as container:
            resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE_HZ)
            parts = [part.to_ndarray()[0] for frame in container.decode(audio=0) for part in resampler.resample(frame)]
            parts += [part.to_ndarray()[0] for part in resampler.resample(None)]
    except (av.error.FFmpegError, IndexError, OSError) as error:
        raise AudioError(f"{file.name} cannot be read as sound: {error}") from error
    parts.append(np.zeros(round(GAP_S * SAMPLE_RATE_HZ), np.float32))
    sound = np.concatenate(parts).astype(np.float32)
    return np.concatenate([sound, np.zeros(-len(sound) % PACKET, np.float32)])
