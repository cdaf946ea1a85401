import cv2
import numpy as np

from engine.enrol.glasses import wears_glasses
from engine.enrol.people import source_of


def test_frames_are_seen_and_bare_faces_are_not() -> None:
    for name in ("amara", "edith", "marco", "mei", "samuel"):
        crop, landmarks, _ = source_of(name)
        marks = landmarks.astype(np.float64)
        assert not wears_glasses(crop, marks), name
        worn = crop.copy()
        u = float(np.linalg.norm(marks[33, :2] - marks[263, :2]))
        eyes = [marks[[33, 133], :2].mean(0), marks[[362, 263], :2].mean(0)]
        dark, size = (25, 20, 20), (int(0.26 * u), int(0.20 * u))
        for eye in eyes:
            cv2.ellipse(worn, (int(eye[0]), int(eye[1] + 0.04 * u)), size, 0, 0, 360, dark, 5)
        (x0, y0), (x1, y1) = eyes
        cv2.line(worn, (int(x0 + 0.26 * u), int(y0)), (int(x1 - 0.26 * u), int(y1)), dark, 5)
        assert wears_glasses(worn, marks), name
