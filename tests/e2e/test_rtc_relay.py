"""A server whose own UDP is blocked: it is reached through a relay that it asks over TCP."""

import re
from pathlib import Path

import pytest
from aiortc import RTCSessionDescription

from streaming.contract import now
from streaming.rtc.peer import RtcConfig
from streaming.rtc.servers import IceServers
from tests.e2e.relay import COTURN, SECRET, coturn
from tests.e2e.rtc_client import SDP, Client, request
from tests.e2e.rtc_measure import served

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not COTURN, reason="coturn is not installed: sudo apt-get install coturn"),
]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_server_is_reached_through_its_own_relay(tmp_path: Path, transport: str):
    with coturn(tmp_path, *(("--no-udp",) if transport == "tcp" else ())) as port:
        servers = IceServers((f"turn:127.0.0.1:{port}?transport={transport}",), secret=SECRET)
        async with served(RtcConfig(loopback=False, private=True, ice_servers=servers), size=256) as stand:
            viewer = Client(watches=True)
            try:
                await viewer.pc.setLocalDescription(await viewer.pc.createOffer())
                status, answer, headers = await request(
                    stand, "POST", "whep/s", data=viewer.pc.localDescription.sdp, headers=SDP
                )
                assert status == 201, answer
                assert f'<turn:127.0.0.1:{port}?transport={transport}>; rel="ice-server"; username=' in headers["Link"]
                direct = re.compile(r"a=candidate:(?!.*typ relay).*\r\n")
                await viewer.pc.setRemoteDescription(RTCSessionDescription(direct.sub("", answer), "answer"))
                picture = await viewer.picture()
                assert picture.width == 256
            finally:
                await viewer.pc.close()


async def test_a_relay_that_does_not_answer_costs_a_second_at_most():
    servers = IceServers(("stun:127.0.0.1:9", "turn:127.0.0.1:9"), secret=SECRET)
    async with served(RtcConfig(loopback=False, ice_servers=servers), size=64) as stand:
        viewer = Client(watches=True)
        try:
            await viewer.pc.setLocalDescription(await viewer.pc.createOffer())
            took: list[float] = []
            while not took or (min(took) > 4 and len(took) < 5):  # aioice would wait for 5 s each time, a busy machine not
                began = now()
                status, _, _ = await request(stand, "POST", "whep/s", data=viewer.pc.localDescription.sdp, headers=SDP)
                took.append(now() - began)
                assert status == 201
            assert min(took) <= 4
        finally:
            await viewer.pc.close()
