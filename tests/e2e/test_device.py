"""The device process, on a CPU and with stand-ins for the networks: asked by real workers, killed, stopped."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from engine.errors import ModelError
from streaming.device.device import Device
from streaming.live import Live
from streaming.worker.options import STUDIOS, WorkerOptions
from tests.e2e.rtc_client import PATIENCE_S, until
from tests.e2e.test_pdfgc_worker import MEI, SETTINGS, level
from tests.e2e.test_workers import collect, fresh, speaking
from tests.unit.pdfgc_files import write

pytest.importorskip("onnx")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sockets without a file are Linux's")


@asynccontextmanager
async def serving(models: Path, workers: int = 1) -> AsyncIterator[tuple[Live, Device]]:
    device = Device(models, "cpu")
    options = WorkerOptions(STUDIOS["pdfgc"], str(models), served=device.address, warm=str(MEI), sizes=(256,))
    live = Live(Path, workers=workers, options=options, device=device)
    await live.start()
    try:
        await until(lambda: all(worker.ready for worker in live.pool.workers), 2 * PATIENCE_S)
        yield live, device
    finally:
        pid = device.pid
        await live.close()
        assert pid is None or not psutil.pid_exists(pid)


async def test_pictures_come_from_the_device_process_whatever_happens_to_it_or_to_another_worker(tmp_path: Path) -> None:
    async with serving(write(tmp_path / "models"), workers=2) as (live, device):
        session = await live.open(SETTINGS)
        silent = level(await fresh(session, 10))
        async with speaking(session), asyncio.timeout(PATIENCE_S):
            while abs(level(await fresh(session, 10)) - silent) <= 1:
                pass
        for how in (signal.SIGKILL, signal.SIGSTOP):
            before = device.pid
            assert before is not None
            os.kill(before, how)
            await collect(session, 5)  # the sound goes on
            await until(lambda before=before: device.pid not in (None, before), PATIENCE_S)
            await fresh(session, 5)
            assert not psutil.pid_exists(before)
        before = device.pid
        (other,) = [worker for worker in live.pool.workers if SETTINGS not in worker.settings]
        assert other.pid is not None
        os.kill(other.pid, signal.SIGKILL)
        await fresh(session, 5)
        assert device.pid == before


async def test_networks_that_cannot_be_used_end_the_session_with_their_line(tmp_path: Path) -> None:
    models = write(tmp_path / "models")
    (models / "pdfgc_audio.onnx").write_bytes(b"not a network")
    async with serving(models) as (live, _):
        with pytest.raises(ModelError, match=r"pdfgc_audio\.onnx is damaged"):
            await live.open(SETTINGS)
