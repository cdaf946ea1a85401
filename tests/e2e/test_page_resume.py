"""A page that is loaded anew, or loses its network for a moment, comes back to its session."""

import logging
import time
from typing import Any

import pytest

from streaming.rtc import aiortc_seam as seam
from tests.e2e.conftest import Server, Visit
from tests.e2e.test_page import changes, eventually, only_session
from tests.e2e.test_page_ice import cut

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_page_that_is_loaded_anew_comes_back_to_its_session_by_itself(visit: Visit, server: Server) -> None:
    page = visit.ready()
    page.click("#start")
    visit.live()
    page.fill("#smile", "100")
    page.fill("#head-x", "-12.5")
    page.fill("#mouth-gain", "1.5")
    page.uncheck("#idle", force=True)
    session = only_session(server)
    eventually(page, lambda: changes(server).get("idle") is False, "all of it reaches the session")
    page.reload()
    visit.live()
    log.info("live %.0f ms after the page was loaded anew", page.evaluate("performance.now()"))
    assert only_session(server) is session
    eventually(page, lambda: session.viewers == 1, "the peer before is gone")
    pushed = len(session.pushed)
    eventually(page, lambda: len(session.pushed) > pushed, "the voice is heard again")
    shown = page.evaluate("['smile', 'head-x', 'mouth-gain', 'roll'].map((id) => Number(document.getElementById(id).value))")
    assert shown == [100, -12.5, 1.5, 0]
    assert not page.is_checked("#idle")
    visit.clean()


def test_a_page_that_was_stopped_does_not_start_by_itself(visit: Visit, server: Server) -> None:
    page = visit.ready()
    page.click("#start")
    visit.live()
    page.click("#start")
    page.wait_for_selector("#stage[data-state=idle]")
    page.reload()
    visit.ready()
    page.wait_for_timeout(500)
    assert page.get_attribute("#stage", "data-state") == "idle"
    assert all(session.closed for session in server.sessions.opened.values())
    visit.clean()


def test_another_tab_does_not_take_the_session_over(browser: Any, visit: Visit, server: Server) -> None:
    visit.ready().click("#start")
    visit.live()
    session = only_session(server)
    other = visit.context.new_page()
    other.goto(server.url)
    other.wait_for_selector("#start:enabled")
    other.wait_for_timeout(500)
    assert other.get_attribute("#stage", "data-state") == "idle"
    assert only_session(server) is session
    other.close()
    visit.clean()


def test_a_network_that_changed_is_not_waited_for(visit: Visit, server: Server) -> None:
    """The browser itself takes 5 s and more to notice; the picture that stands still tells the page."""
    page = visit.ready()
    page.click("#start")
    visit.live()
    session = only_session(server)
    assert any(goes_on(page, server) for _ in range(3))  # on a machine that stood still meanwhile new ones may be quicker
    assert only_session(server) is session


def goes_on(page: Any, server: Server) -> bool:
    """Whether the voice is heard again by the same connections when their ways are lost."""
    session = only_session(server)
    eventually(page, lambda: len(server.peers.peers(session.id)) == 2, "picture and voice are connected")
    page.wait_for_timeout(1000)
    peers = server.peers.peers(session.id)
    for peer in peers:
        server.soon(cut, seam.ice_of(peer.connection.getTransceivers()[0]))
    page.wait_for_timeout(500)
    began, pushed = time.monotonic(), len(session.pushed)
    eventually(page, lambda: len(session.pushed) > pushed + 5, "the voice is heard again")
    log.info("heard again %.1f s after the way was lost", time.monotonic() - began + 0.5)
    return server.peers.peers(session.id) == peers
