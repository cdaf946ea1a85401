"""A real worker process that draws by networks: stand-ins, so that only the way to the picture is tested."""

from pathlib import Path

import numpy as np
import pytest

from engine.errors import ModelError
from streaming.contract import SessionSettings
from streaming.worker.options import STUDIOS, WorkerOptions
from tests.e2e.test_workers import collect, running, speaking
from tests.unit.pdfgc_files import write

pytest.importorskip("onnx")

MEI = Path(__file__).parents[2] / "engine" / "models" / "portraits" / "mei.mien"
SETTINGS = SessionSettings(str(MEI), size=256, look_ahead_ms=160, badge=False)


def options(models: Path) -> WorkerOptions:
    return WorkerOptions(STUDIOS["pdfgc"], str(models), warm=str(MEI), sizes=(256,))


async def test_pictures_come_live_and_change_with_what_is_said(tmp_path: Path) -> None:
    async with running(options=options(write(tmp_path / "models"))) as live:
        session = await live.open(SETTINGS)
        silent = await collect(session, 10)
        async with speaking(session):
            spoken = (await collect(session, 30))[20:]
        levels = [{int(frame.video[:256].mean()) for frame in frames if frame.fresh} for frames in (silent[5:], spoken)]
        assert levels[0]
        assert levels[1]
        assert np.abs(np.mean(list(levels[0])) - np.mean(list(levels[1]))) > 1


async def test_networks_that_cannot_be_used_end_the_session_with_their_line(tmp_path: Path) -> None:
    models = write(tmp_path / "models")
    (models / "pdfgc_audio.onnx").write_bytes(b"not a network")
    async with running(options=options(models)) as live:
        with pytest.raises(ModelError, match=r"pdfgc_audio\.onnx is damaged"):
            await live.open(SETTINGS)
