"""How the page's own connection finds its way: through a relay where nothing else is open, and another way when one is lost."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aioice.ice
import pytest

from benchmarks.chromium import FLAGS
from streaming.config import ServerConfig
from streaming.rtc import aiortc_seam as seam
from streaming.rtc.servers import IceServers
from tests.e2e.conftest import CHROMIUM, Server
from tests.e2e.relay import COTURN, SECRET, coturn, free_port
from tests.e2e.test_page import PATIENCE_S
from tests.unit.test_tls import made

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.browser, pytest.mark.slow]

RELAY_ONLY = """
  const Direct = RTCPeerConnection;
  window.RTCPeerConnection = class extends Direct {
    constructor(configuration) { super({ ...configuration, iceTransportPolicy: "relay" }); }
  };
"""
WATCH = """async () => {
  const { player } = await import("/static/peer.js");
  const { openSession } = await import("/static/server.js");
  const session = await openSession({ portrait: "mei" });
  const video = Object.assign(document.createElement("video"), { muted: true });
  window.peer = player((stream) => { video.srcObject = stream; video.play(); });
  await peer.negotiate(session.whep);
}"""
STATE = """async () => {
  const stats = await peer.connection.getStats();
  const of = (type) => Array.from(stats.values()).find((entry) => entry.type === type);
  const picture = Array.from(stats.values()).find((entry) => entry.type === "inbound-rtp" && entry.kind === "video");
  const pair = stats.get(of("transport")?.selectedCandidatePairId);
  const { candidateType: type, relayProtocol: relayed, port } = stats.get(pair?.localCandidateId) ?? {};
  const { framesDecoded: frames = 0, keyFramesDecoded: keys = 0, packetsLost: lost = 0 } = picture ?? {};
  return { type, relayed, pair: pair?.id, frames, keys, lost, port, state: peer.connection.connectionState };
}"""


@contextlib.contextmanager
def page_of(browser: Any, url: str, script: str = "") -> Iterator[Any]:
    context = browser.new_context()
    context.add_init_script(script)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(url)
    try:
        yield page
    finally:
        context.close()


def until(page: Any, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """How the connection stands once it is as wanted."""
    end = time.monotonic() + PATIENCE_S
    while not wanted(state := page.evaluate(STATE)):
        assert time.monotonic() < end, state
        page.wait_for_timeout(100)
    return state


def cut(way: aioice.ice.Connection) -> None:
    """Let nothing through any more, in neither direction."""
    for protocol in way._protocols:  # pyright: ignore[reportPrivateUsage]
        protocol.datagram_received = lambda data, addr: None
        protocol.transport.sendto = lambda data, addr=None: None


def playing(page: Any, frames: int) -> dict[str, Any]:
    """How it stands once it has decoded so many frames."""
    return until(page, lambda state: state["frames"] >= frames)


def test_a_restart_finds_a_new_way_and_no_picture_is_missing(browser: Any, server: Server) -> None:
    with page_of(browser, server.url) as page:
        page.evaluate(WATCH)
        assert any(restarts(page) for _ in range(3))  # a busy machine may lose a packet at the same time


def restarts(page: Any) -> bool:
    """Whether a restart finds another way without the loss of a picture."""
    before = playing(page, 30)
    page.evaluate("peer.restart()")
    after = playing(page, before["frames"] + 50)
    log.info("before: %s, after: %s", before, after)
    page.wait_for_timeout(1000)  # with the pictures above 3 s: it does not restart more often
    same = all(after[name] == before[name] for name in ("keys", "lost", "state"))
    return same and after["pair"] != before["pair"]


def test_a_way_that_is_lost_is_replaced_by_itself(browser: Any, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a computer changes its network: what it had answers no more."""
    monkeypatch.setattr(aioice.ice, "CONSENT_FAILURES", 100)  # a busy browser notices later than the server gives it up
    with page_of(browser, server.url) as page:
        page.evaluate(WATCH)
        playing(page, 30)
        peers = [peer for name in list(server.sessions.opened) for peer in server.peers.peers(name)]
        assert len(peers) == 1, f"{server.sessions.opened}: {peers}"
        peer = peers[0]
        way = seam.ice_of(peer.connection.getTransceivers()[0])
        server.soon(cut, way)
        before = until(page, lambda state: state["state"] == "disconnected")
        page.evaluate("window.lostAt = performance.now()")
        after = until(page, lambda state: state["frames"] >= before["frames"] + 10 and state["state"] == "connected")
        log.info("plays again %.0f ms after the browser noticed", page.evaluate("performance.now() - lostAt"))
        assert after["pair"] != before["pair"]
        assert peer.connected  # the same one


@pytest.mark.skipif(not COTURN, reason="coturn is not installed: sudo apt-get install coturn")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_the_picture_comes_through_a_relay_where_nothing_else_is_open(browser: Any, tmp_path: Path, transport: str) -> None:
    blocked = ("--no-udp",) if transport == "tcp" else ()
    with coturn(tmp_path, *blocked) as port:
        servers = IceServers((f"turn:127.0.0.1:{port}?transport={transport}",), secret=SECRET)
        with Server(ServerConfig(ice_servers=servers)) as server, page_of(browser, server.url, RELAY_ONLY) as page:
            page.evaluate(WATCH)
            state = playing(page, 30)
            assert (state["type"], state["relayed"]) == ("relay", transport)


@pytest.mark.skipif(not COTURN, reason="coturn is not installed: sudo apt-get install coturn")
def test_the_picture_comes_over_tls_where_a_firewall_lets_nothing_else_through(browser: Any, tmp_path: Path) -> None:
    """The certificate is looked at by `mien doctor --network` (test_network.py); this browser takes any."""
    certificate, key = made(tmp_path, "localhost")
    tls = free_port()
    options = ("--no-udp", "--no-tcp", f"--tls-listening-port={tls}", f"--cert={certificate}", f"--pkey={key}")
    servers = IceServers((f"turns:localhost:{tls}?transport=tcp",), secret=SECRET)
    trusting = browser.browser_type.launch(executable_path=CHROMIUM, args=[*FLAGS, "--ignore-certificate-errors"])
    relay, house = coturn(tmp_path, *options, listens=tls), Server(ServerConfig(ice_servers=servers))
    with contextlib.closing(trusting), relay, house as server, page_of(trusting, server.url, RELAY_ONLY) as page:
        page.evaluate(WATCH)
        state = playing(page, 30)
        assert (state["type"], state["relayed"]) == ("relay", "tls")
