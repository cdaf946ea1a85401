"""A page that is loaded anew, or loses its network for a moment, comes back to its session."""

import logging
from typing import Any

import pytest

from tests.e2e.conftest import Server, Visit
from tests.e2e.test_page import eventually, only_session

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_page_that_is_loaded_anew_comes_back_to_its_session_by_itself(visit: Visit, server: Server) -> None:
    page = visit.ready()
    page.click("#start")
    visit.live()
    page.fill("#smile", "100")
    session = only_session(server)
    eventually(page, lambda: session.changes, "the slider reaches the session")
    page.reload()
    visit.live()
    log.info("live %.0f ms after the page was loaded anew", page.evaluate("performance.now()"))
    assert only_session(server) is session
    eventually(page, lambda: session.viewers == 1, "the peer before is gone")
    pushed = len(session.pushed)
    eventually(page, lambda: len(session.pushed) > pushed, "the voice is heard again")
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
