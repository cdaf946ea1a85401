"""A real worker process that draws by networks: stand-ins, so that only the way to the picture is tested."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.errors import ModelError
from streaming.camera.cameras import CameraOptions, Cameras
from streaming.capture.camera import CameraFeed
from streaming.contract import Outgoing, SessionSettings
from streaming.remote import Remote
from streaming.worker.options import STUDIOS, WorkerOptions
from tests.e2e.rtc_client import PATIENCE_S, until
from tests.e2e.test_camera import filming
from tests.e2e.test_workers import fresh, running, speaking
from tests.unit.films import BLACK, bar, film
from tests.unit.pdfgc_files import write

pytest.importorskip("onnx")

MEI = Path(__file__).parents[2] / "engine" / "models" / "portraits" / "mei.mien"
SETTINGS = SessionSettings(str(MEI), size=256, look_ahead_ms=160, badge=False)


def options(models: Path) -> WorkerOptions:
    return WorkerOptions(STUDIOS["pdfgc"], str(models), warm=str(MEI), sizes=(256,))


async def test_pictures_come_live_and_change_with_what_is_said(tmp_path: Path) -> None:
    async with running(options=options(write(tmp_path / "models"))) as live:
        session = await live.open(SETTINGS)
        silent = level(await fresh(session, 10))
        async with speaking(session), asyncio.timeout(PATIENCE_S):
            while abs(level(await fresh(session, 10)) - silent) <= 1:
                pass


def level(frames: list[Outgoing]) -> float:
    """Mean luma of the last five."""
    return float(np.mean([frame.video[:256].mean() for frame in frames[-5:]]))


async def test_networks_that_cannot_be_used_end_the_session_with_their_line(tmp_path: Path) -> None:
    models = write(tmp_path / "models")
    (models / "pdfgc_audio.onnx").write_bytes(b"not a network")
    async with running(options=options(models)) as live:
        with pytest.raises(ModelError, match=r"pdfgc_audio\.onnx is damaged"):
            await live.open(SETTINGS)


def seeing(folder: Path) -> Path:
    """Networks without a bridge, which make much of what their motion encoder says."""
    write(folder, ("appearance", "audio", "generator", "motion"))
    (folder / "pdfgc.json").write_text('{"gains": [1, 8, 8, 8]}')
    return folder


def lit(level: int) -> NDArray[np.uint8]:
    """A camera's picture with a bar in the middle, of a grey."""
    return np.maximum(bar(0.5), level).astype(np.uint8)


async def comes_to(session: Remote, wanted: Callable[[float], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not wanted(level(await fresh(session, 10))):
            pass


async def test_a_browsers_camera_moves_the_face_by_the_motion_encoder(tmp_path: Path) -> None:
    models = seeing(tmp_path / "models")
    cameras = Cameras(CameraOptions("tests.fake_tracker:framing", encoder=str(models)))
    async with running(options=options(models), cameras=cameras) as live:
        session = await live.open(SETTINGS)
        canonical = level(await fresh(session, 10))
        shown = [lit(170)]
        async with filming(session.push_picture, lambda: shown[0]):
            await comes_to(session, lambda luma: abs(luma - canonical) > 2)
            driven = level(await fresh(session, 10))
            shown[0] = lit(230)
            await comes_to(session, lambda luma: abs(luma - driven) > 1.5)
            session.control(factors=dict.fromkeys(("pose", "gaze", "expression"), "voice"))
            await comes_to(session, lambda luma: abs(luma - canonical) < 0.5)
            session.control(factors={"pose": "camera"})
            await comes_to(session, lambda luma: abs(luma - canonical) > 1)
            shown[0] = BLACK
            await comes_to(session, lambda luma: abs(luma - canonical) < 0.5)


async def test_this_machines_camera_moves_the_face_by_the_motion_encoder(tmp_path: Path) -> None:
    models = seeing(tmp_path / "models")
    cameras = Cameras(CameraOptions("tests.fake_tracker:framing", encoder=str(models)))
    feed = CameraFeed(str(film(tmp_path / "person.mp4", [lit(230)] * 30)))
    async with running(options=options(models), cameras=cameras, own_camera=feed) as live:
        session = await live.open(SETTINGS)
        canonical = level(await fresh(session, 10))
        session.control(camera="machine")
        await comes_to(session, lambda luma: abs(luma - canonical) > 2)
        session.control(camera="off")
        await comes_to(session, lambda luma: abs(luma - canonical) < 0.5)


async def test_a_motion_encoder_that_cannot_be_used_is_said_in_one_line(tmp_path: Path) -> None:
    models = write(tmp_path / "models")
    (models / "pdfgc_motion.onnx").write_bytes(b"not a network")
    cameras = Cameras(CameraOptions("tests.fake_tracker:framing", encoder=str(models)))
    camera = cameras.open(lambda _: None)
    try:
        await until(lambda: "pdfgc_motion.onnx is damaged" in camera.status("browser").reason)
        assert not cameras.ready
    finally:
        await cameras.close()
