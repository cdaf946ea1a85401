"""The motion encoder beside the loop: what it is shown, one picture at a time, and what becomes of a fault."""

import select
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.contract import GraphSpec
from engine.errors import DeviceError, ModelError
from engine.face.align import LiveAligner
from engine.face.fields import fields
from engine.render.pdfgc.driver import encode
from engine.render.pdfgc.networks import Sizes, motion_encoder, specs
from streaming.camera.encoding import Encoding
from streaming.camera.messages import Coded, Encoded, Manner
from streaming.camera.watcher import Watcher
from streaming.contract import PictureCodec
from tests.fake_tracker import FakeReader, FramedFollower
from tests.unit.films import BLACK, bar, coded
from tests.unit.pdfgc_files import write

MATRIX = np.eye(2, 3)


class Slow:
    """An encoder that says how bright a picture is, when it may."""

    spec: GraphSpec = specs(Sizes(seen=8))["motion"]

    def __init__(self) -> None:
        self.may = threading.Semaphore(0)

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        assert self.may.acquire(timeout=30)
        level = np.asarray(inputs["image"], np.float32).mean()
        if level > 0.9:
            raise DeviceError("no memory")
        return {tensor.name: np.full(tensor.shape, level, np.float32) for tensor in self.spec.outputs}


def grey(level: int) -> NDArray[np.uint8]:
    return np.full((8, 8, 3), level, np.uint8)


def said(encoding: Encoding) -> list[Encoded]:
    ready, _, _ = select.select([encoding], [], [], 30)
    assert ready
    return encoding.take()


def test_of_each_camera_the_newest_picture_is_seen_the_oldest_of_them_first() -> None:
    encoder = Slow()
    encoding = Encoding(encoder)
    for key, arrived in ((1, 0.0), (1, 0.1), (2, 0.15), (1, 0.2), (2, 0.3)):
        encoding.put(key, arrived, grey(100 + round(100 * arrived)), MATRIX)
    found = list[Encoded]()
    for _ in range(3):
        encoder.may.release()
        found += said(encoding)
    assert [(one.key, one.arrived) for one in found] == [(1, 0.0), (1, 0.2), (2, 0.3)]
    assert found[1].latents == pytest.approx(np.full(42, 120 / 127.5 - 1), abs=1e-5)
    assert encoding.take() == []


def test_an_encoder_that_fails_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    encoder = Slow()
    encoding = Encoding(encoder)
    encoding.put(1, 0.0, grey(255), MATRIX)
    encoding.put(1, 0.1, grey(255), MATRIX)
    encoder.may.release()
    assert said(encoding) == []
    encoding.put(1, 0.2, grey(0), MATRIX)
    encoder.may.release()
    assert encoding.take() == []
    assert [record.getMessage() for record in caplog.records] == [
        "the motion encoder failed, cameras drive by controls alone: no memory"
    ]


def test_what_was_followed_is_seen_in_its_frame_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    models = write(tmp_path)
    encoding, watcher = Encoding.load(models), Watcher(3, FramedFollower(), FakeReader())
    watcher.encode_by(encoding)
    watcher.begin(PictureCodec("vp8"))

    def show(rgb: NDArray[np.uint8], at: float) -> None:
        (data,) = coded([rgb])
        watcher.take(Coded(3, at, True, data))
        watcher.look(lambda: at)

    show(bar(0.5), 1.0)
    (one,) = said(encoding)
    assert (one.key, one.arrived) == (3, 1.0)
    rgb, height = bar(0.5), 96
    landmarks = height / 4 * fields().face + (76, 48, 0)
    size = encoding.size
    wanted = encode(motion_encoder(models), rgb, LiveAligner(size).next(landmarks, 0.0))
    assert one.latents == pytest.approx(wanted, abs=0.1)
    show(BLACK, 2.0)
    watcher.behave(Manner(encode=False))
    show(bar(0.5), 3.0)
    assert not select.select([encoding], [], [], 0.2)[0]


def test_an_encoder_that_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"pdfgc_motion\.onnx"):
        Encoding.load(tmp_path)
