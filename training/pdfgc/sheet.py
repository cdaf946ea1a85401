"""Sample pictures, because it is the eye that judges: rows of pictures under titles, as one PNG."""

# pyright: basic
# cv2 types its images as unions

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

_TITLE: Final = 14  # px


def write_sheet(path: Path, rows: Mapping[str, NDArray[np.uint8]]) -> None:
    """Write rows of uint8[N, S, S, 3], each under its title; the PNG appears whole."""
    bands = [band for title, pictures in rows.items() for band in (_title(title, pictures), np.hstack(list(pictures)))]
    wide = max(band.shape[1] for band in bands)
    sheet = np.vstack([np.pad(band, ((0, 0), (0, wide - band.shape[1]), (0, 0))) for band in bands])
    _, data = cv2.imencode(".png", sheet[:, :, ::-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(data.tobytes())
    part.replace(path)


def _title(title: str, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    band = np.full((_TITLE, pictures.shape[0] * pictures.shape[2], 3), 255, np.uint8)
    cv2.putText(band, title, (2, _TITLE - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1, cv2.LINE_AA)
    return band
