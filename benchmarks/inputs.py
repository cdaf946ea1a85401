"""What the suites are fed with: a voice and a portrait, those that ship with mien unless others are named."""

import difflib
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.errors import AudioError, PortraitError
from engine.timeline import SAMPLE_RATE_HZ
from streaming.capture.file import read_all
from streaming.capture.sample import SUFFIXES

ROOT: Final = Path(__file__).resolve().parent.parent
PORTRAITS: Final = ROOT / "engine" / "models" / "portraits"
SAMPLES: Final = ROOT / "engine" / "models" / "samples"
PACKET: Final = SAMPLE_RATE_HZ // 50
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
    found = [file for file in sorted(SAMPLES.glob("*")) if file.suffix in SUFFIXES]
    if not found:
        raise AudioError("no voice is shipped in engine/models/samples; name a sound file with --audio")
    return found[0]


def voice(file: Path) -> NDArray[np.float32]:
    """A sound file as float32[N] mono at 48 kHz, whole packets, with `GAP_S` of silence at its end.

    Raises:
        AudioError: when it cannot be read.
    """
    sound = np.concatenate([read_all(file), np.zeros(round(GAP_S * SAMPLE_RATE_HZ), np.float32)])
    return np.concatenate([sound, np.zeros(-len(sound) % PACKET, np.float32)])
