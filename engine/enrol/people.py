# pyright: basic
# cv2 types its images as unions that strict mode cannot follow
"""The built-in people: enrols them again from their sources, without a face tracker.

`python -m engine.enrol.people` rewrites `engine/models/portraits/*.mien`. A
source is a picture of 512 px, `NAME.png`, and `NAME.npz` with the landmarks
and the person matte that the tracker found in it.
"""

import json
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.enrol.build import build_avatar
from engine.rig.archive import THUMBNAIL, Card, Portrait, save

FOLDER: Final = Path(__file__).parent.parent / "models" / "portraits"
CONSENT: Final = "A synthetic person, morphed from AI-generated faces released under CC0; nobody is shown."


def people() -> list[tuple[str, str]]:
    """Names and labels of the built-in people."""
    listed = json.loads((FOLDER / "portraits.json").read_text(encoding="utf-8"))
    return [(str(name), str(about["label"])) for name, about in listed["portraits"].items()]


def source_of(name: str) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """Crop, landmarks and matte of a built-in person, as `build_avatar` takes them."""
    crop = cv2.imread(str(FOLDER / "source" / f"{name}.png"), cv2.IMREAD_COLOR)
    assert crop is not None, name
    with np.load(FOLDER / "source" / f"{name}.npz", allow_pickle=False) as data:
        landmarks, matte = data["landmarks"].astype(np.float32), data["matte"].astype(np.float32) / 255
    return np.asarray(cv2.cvtColor(crop, cv2.COLOR_BGR2RGB), np.uint8), landmarks, matte


def rebuild(folder: Path = FOLDER) -> list[Path]:
    """Enrol all of them and write their portrait files to `folder`."""
    written: list[Path] = []
    for name, label in people():
        crop, landmarks, matte = source_of(name)
        card = Card(
            name=name.capitalize(),
            label=label,
            consent=CONSENT,
            origin="synthetic, see README.md beside this file",
            licence="CC0-1.0",
        )
        avatar = build_avatar(crop, landmarks, matte)
        save(folder / f"{name}.mien", Portrait(avatar, card, thumbnail(crop, landmarks)))
        written.append(folder / f"{name}.mien")
    return written


def thumbnail(crop: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.uint8]:
    """uint8[THUMBNAIL, THUMBNAIL, 3]: head and shoulders of a crop."""
    middle, height = landmarks[:468, :2].mean(0), float(np.ptp(landmarks[:468, 1]))
    side = int(min(2.1 * height, len(crop)))
    x, y = np.clip((middle - side * np.array([0.5, 0.5])).astype(int), 0, len(crop) - side)
    return np.asarray(
        cv2.resize(crop[y : y + side, x : x + side], (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA), np.uint8
    )


if __name__ == "__main__":
    rebuild()
