"""A real worker process that draws by networks: stand-ins, so that only the way to the picture is tested."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from engine.errors import ModelError
from streaming.contract import Outgoing, SessionSettings
from streaming.worker.options import STUDIOS, WorkerOptions
from tests.e2e.rtc_client import PATIENCE_S
from tests.e2e.test_workers import fresh, running, speaking
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
