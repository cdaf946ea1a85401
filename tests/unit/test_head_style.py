from pathlib import Path

import av
import numpy as np
import pytest

from engine.errors import AudioError, ModelError
from engine.face.stream import Seen
from engine.face.tracker import Face
from engine.motion.head import STYLE_SHAPE, save_style
from engine.rig.camera import rotation
from streaming import head_style
from tests.unit.test_head import Encoder, Follower
from tests.unit.test_pose import a_face

FPS = 25


def film(path: Path, seconds: float, *, sound: bool = True) -> Path:
    """A small grey film whose brightness counts the frames, with a hum."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=FPS)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        hum = container.add_stream("pcm_s16le", rate=48_000) if sound else None
        for _ in range(round(seconds * FPS)):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), 90, np.uint8), format="rgb24")))
        container.mux(video.encode(None))
        if hum is not None:
            wave = (3000 * np.sin(np.arange(round(seconds * 48_000)) * 0.02)).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
            frame.rate = 48_000
            container.mux(hum.encode(frame))
            container.mux(hum.encode(None))
    return path


class Nodding:
    """A face tracker that sees a face nod, in all frames but the first `blind`."""

    blind = 0

    def __init__(self) -> None:
        self._frame, self._face = 0, a_face()

    @classmethod
    def load(cls) -> "Nodding":
        return cls()

    def follow(self, rgb: np.ndarray, time_s: float) -> Seen:
        self._frame += 1
        if self._frame <= self.blind:
            return Seen(time_s, None, "no face")
        nod = 4 * np.sin(2 * np.pi * 0.8 * time_s)
        return Seen(time_s, Face((60 * self._face @ rotation(0, nod, 0).T + 100).astype(np.float32), 1.0), "", 1)


@pytest.fixture
def tracker(monkeypatch):
    monkeypatch.setattr(head_style, "Follower", Nodding)
    monkeypatch.setattr(head_style.OrtGraph, "load", lambda path: Encoder() if path == head_style.ENCODER else Follower())
    monkeypatch.setattr(Nodding, "blind", 0)


def test_who_nods_has_a_nodding_style(tmp_path, tracker):
    style = head_style.head_style(film(tmp_path / "me.mkv", 4))
    assert style.shape == STYLE_SHAPE
    assert style[1, 0] > 1.5  # degrees of pitch
    assert style[0, 0] < 0.1


def test_a_face_that_is_not_seen_long_enough_is_refused(tmp_path, tracker, monkeypatch):
    monkeypatch.setattr(Nodding, "blind", 50)
    with pytest.raises(head_style.StyleError, match=r"me\.mkv shows a face for 2\.0 s"):
        head_style.head_style(film(tmp_path / "me.mkv", 4))


def test_no_face_at_all_is_refused(tmp_path, tracker, monkeypatch):
    monkeypatch.setattr(Nodding, "blind", 1000)
    with pytest.raises(head_style.StyleError, match=r"0\.0 s"):
        head_style.head_style(film(tmp_path / "me.mkv", 4))


def test_a_film_without_sound_is_refused(tmp_path, tracker):
    with pytest.raises(AudioError, match="no sound"):
        head_style.head_style(film(tmp_path / "me.mkv", 4, sound=False))


def test_what_is_no_film_is_refused(tmp_path, tracker):
    path = tmp_path / "me.mp4"
    path.write_bytes(b"no film")
    with pytest.raises(AudioError, match=r"me\.mp4"):
        head_style.head_style(path)


def test_a_style_file_is_read(tmp_path):
    style = np.full(STYLE_SHAPE, 0.25, np.float32)
    save_style(tmp_path / "me.npz", style)
    np.testing.assert_array_equal(head_style.head_style(tmp_path / "me.npz"), style)
    with pytest.raises(ModelError):
        head_style.head_style(tmp_path / "other.npz")
