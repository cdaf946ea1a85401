"""A person before a webcam, for Chromium's fake camera: a built-in face that is calm, turns, smiles and blinks, over again."""

from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.contract import Motion
from engine.contract.motion import gaze_controls
from engine.render.mesh import MeshRenderer
from engine.rig.archive import load
from streaming.portraits import BUILTIN

FPS: Final = 30  # what Chromium takes a film without a rate for
WIDTH, HEIGHT = 640, 480
CALM_S, MOVED_S = 2.5, 3.5


def write_sitter(file: Path, face: str = "samuel") -> Path:
    """A film of concatenated JPEGs that begins where it ends."""
    renderer = MeshRenderer(load(BUILTIN / f"{face}.mien"), HEIGHT)
    with file.open("wb") as out:
        for index in range(round((CALM_S + MOVED_S) * FPS)):
            renderer.prepare(Motion.of(0, _controls(index / FPS - CALM_S)))
            bgr = cv2.cvtColor(_widened(renderer.finish().rgb), cv2.COLOR_RGB2BGR)
            out.write(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes())
    return file


def _controls(t: float) -> dict[str, float]:
    """`t` seconds after the calm."""
    if t < 0:
        return {}
    swell = np.sin(np.pi * t / MOVED_S)  # 0 at both ends
    turn = swell * np.sin(2 * np.pi * t / MOVED_S)
    blink = float(np.exp(-(((t - 0.6) / 0.07) ** 2)))
    return {
        "yaw": 12 * turn, "roll": 3 * turn, "pitch": 3 * swell,
        "mouthSmileLeft": 0.7 * swell, "mouthSmileRight": 0.7 * swell,
        "browInnerUp": 0.4 * swell, "eyeBlinkLeft": blink, "eyeBlinkRight": blink,
    } | gaze_controls(8 * turn, 0.0)  # fmt: skip


def _widened(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8[HEIGHT, WIDTH, 3]: a square picture with its edges drawn out to both sides."""
    side = (WIDTH - HEIGHT) // 2
    return cv2.copyMakeBorder(rgb, 0, 0, side, side, cv2.BORDER_REPLICATE)  # pyright: ignore[reportReturnType]
