"""The voices made for the project, for who has no microphone."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming.capture.file import read_all

SUFFIXES: Final = (".opus", ".flac", ".wav", ".ogg")


def samples(folder: Path | None = None) -> Mapping[str, NDArray[np.float32]]:
    """All built-in samples by name, mono float32 at 48 kHz; each a few seconds long.

    Raises:
        AudioError: if one of the files is damaged.
    """
    if folder is None:
        folder = Path(str(resources.files("engine"))) / "models" / "samples"
    files = sorted(file for file in folder.glob("*") if file.suffix in SUFFIXES)
    return {file.stem: read_all(file) for file in files}
