"""Clips as the `pdfgc` renderer's motion encoder sees them."""

from pathlib import Path

import numpy as np
import pytest

from engine.face.stream import Seen
from engine.face.tracker import Face
from engine.render.pdfgc.networks import Networks
from streaming.capture.clip import Clip
from streaming.driving import Watched
from streaming.encoded import tracks_of
from tests.unit.avatars import synthetic_avatar
from tests.unit.clips import film
from tests.unit.pdfgc_files import write

pytest.importorskip("onnx")


def test_what_a_clip_shows_drives_the_parts_of_its_factors(tmp_path: Path) -> None:
    encoder = Networks.load(write(tmp_path / "models")).motion
    assert encoder is not None
    clip = Clip(film(tmp_path / "clip.mp4", [0.04 * k for k in range(6)], (512, 512)))
    face = Face(synthetic_avatar().landmarks, 1.0)
    times = [picture.time_s for picture in clip.pictures()]
    seen = [Seen(time_s, None if k == 2 else face) for k, time_s in enumerate(times)]
    watched = Watched(clip.name, seen, 512, 512, 0.24, ())
    tracks = tracks_of({"pose": (clip, watched), "gaze": (clip, watched), "lips": (clip, watched)}, encoder)
    assert set(tracks) == {"pose", "eyes"}
    pose = tracks["pose"]
    assert pose.values.shape == (5, 6)  # no face in one picture
    middle = pose.at(round(times[2] * 48_000))
    assert middle is not None
    assert middle == pytest.approx((pose.values[1] + pose.values[2]) / 2, abs=1e-4)
    assert np.abs(np.diff(pose.values, axis=0)).min() > 0  # the film grows lighter
    assert pose.at(round(0.23 * 48_000)) is not None
    assert pose.at(round(0.25 * 48_000)) is None
