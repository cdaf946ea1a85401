"""libwebrtc outside a browser as a WHEP client: plays, trickles, restarts ICE, says goodbye."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.rtc_measure import served

NODE = shutil.which("node")
ROOT = Path(__file__).resolve().parents[2]
MODULES = ROOT / ".venv" / "node" / "node_modules"
INSTALL = "npm install --prefix .venv/node @roamhq/wrtc@0.10.0"
FRAMES = 40

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not NODE or not (MODULES / "@roamhq" / "wrtc").is_dir(), reason=f"wrtc is not installed: {INSTALL}"),
]


async def test_a_client_of_others_plays_on_through_an_ice_restart() -> None:
    assert NODE
    script = str(Path(__file__).with_name("whep_watch.mjs"))
    async with served(size=256) as stand:
        words = (script, str(MODULES), f"{stand.url}whep/s", str(FRAMES))
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(NODE, *words, stdout=pipe, stderr=pipe)
        try:
            async with asyncio.timeout(60):
                said, complaints = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode == 0, complaints.decode()
        seen = json.loads(said)
        assert (seen["pictures"], seen["width"], seen["state"]) == (2 * FRAMES, 256, "connected")
        assert seen["samples"] > 48_000
        assert set(seen["patches"]) == {200, 204}
        assert seen["deleted"] == 200
        assert stand.peers.peers("s") == []
