"""FFmpeg as a WHIP client: a voice and a camera from a program that is no browser."""

import asyncio
import sys
from pathlib import Path

import numpy as np
import pytest
from av import formats_available

from tests.e2e.rtc_measure import served
from tests.unit.test_tls import made

SECONDS = 3

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("whip" not in formats_available, reason="this PyAV has no WHIP muxer (FFmpeg 8 has)"),
]


async def test_ffmpeg_brings_a_voice_and_a_camera_and_says_goodbye(tmp_path: Path) -> None:
    certificate, key = map(str, made(tmp_path, "ffmpeg"))
    async with served(size=64) as stand:
        words = ("-m", "tests.e2e.whip_push", f"{stand.url}whip/s", certificate, key, str(SECONDS))
        process = await asyncio.create_subprocess_exec(sys.executable, *words, stderr=asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(60):
                _, complaints = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode == 0, complaints.decode()
        assert len(stand.session.pictures) > 20 * SECONDS
        assert stand.session.pictures[0].key
        sound = np.concatenate([samples for samples, _ in stand.session.pushed])
        assert len(sound) > 0.8 * SECONDS * 48_000
        assert 0.2 < np.abs(sound).max() < 0.3
        assert stand.peers.peers("s") == []  # it deleted its resource
