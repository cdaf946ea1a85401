"""The page in a real Chromium over real WebRTC; only the renderer is a stand-in."""

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from streaming.config import ServerConfig
from streaming.contract import Step
from tests.e2e.conftest import Server, Visit

pytestmark = pytest.mark.browser

PATIENCE_S = 60.0

PICTURE = """() => {
  const video = document.getElementById('video'), canvas = new OffscreenCanvas(64, 64), c = canvas.getContext('2d');
  c.drawImage(video, 0, 0, 64, 64);
  return {pixels: Array.from(c.getImageData(32, 0, 1, 64).data).filter((_, i) => i % 4 === 1),
          frames: video.getVideoPlaybackQuality().totalVideoFrames};
}"""


def eventually(page: Any, true: Callable[[], Any], what: str) -> None:
    """Wait until something holds; the page's events keep coming meanwhile. A loaded machine is slow, not wrong."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, what
        page.wait_for_timeout(50)


def until(page: Any, expression: str) -> None:
    """Wait until something holds in the page; its policy forbids Playwright's own way of waiting."""
    eventually(page, lambda: page.evaluate(expression), expression)


def only_session(server: Server) -> Any:
    (session,) = [session for session in server.sessions.opened.values() if not session.closed]
    return session


def changes(server: Server) -> dict[str, Any]:
    """Every channel and knob as last set."""
    kept: dict[str, Any] = {}
    for change in only_session(server).changes:
        kept |= change.get("channels") or {}
        kept |= {name: value for name, value in change.items() if name != "channels"}
    return kept


def test_start_shows_a_moving_picture_and_stop_ends_it(visit: Visit, server: Server) -> None:
    page = visit.ready()
    assert page.inner_text("#status") == "Ready"
    page.check("input[value=mei]", force=True)
    page.click("#start")
    visit.live()
    assert only_session(server).settings.portrait == "mei"
    before = page.evaluate(PICTURE)
    assert max(before["pixels"]) - min(before["pixels"]) > 60  # the bar is there ...

    def moved() -> bool:
        after = page.evaluate(PICTURE)
        return after["frames"] > before["frames"] + 12 and np.argmax(after["pixels"]) != np.argmax(before["pixels"])

    eventually(page, moved, "... and moves")
    eventually(page, lambda: only_session(server).pushed, "the voice arrives")
    assert page.inner_text("#status") == "Live"
    page.click("#start")
    page.wait_for_selector("#stage[data-state=idle]")
    eventually(page, lambda: all(s.closed for s in server.sessions.opened.values()), "the session is closed")
    visit.clean()


def test_the_display_shows_numbers(visit: Visit) -> None:
    page = visit.ready()
    page.click("#start")
    page.wait_for_selector("#hud:not([hidden])")
    eventually(page, lambda: 10 <= float(page.inner_text("#hud-fps")) <= 30, "about as many frames as are sent")
    eventually(page, lambda: 80 <= float(page.inner_text("#hud-total")) <= 500, "109 ms are the stand-in's own")
    assert float(page.inner_text("#hud-first")) > 0
    legend = page.inner_text("#hud-legend")
    assert all(name in legend for name in ("sound held", "look-ahead", "drawing", "encoding"))
    assert "look-ahead 60 ms" in page.get_attribute("#hud-bar", "aria-label")
    visit.clean()


def test_a_busy_computer_is_named_and_its_pictures_are_followed(visit: Visit, server: Server) -> None:
    page = visit.ready()
    page.click("#start")
    page.wait_for_selector("#hud:not([hidden])")
    assert page.inner_text("#hud-step") == ""
    session = only_session(server)
    for step, width, told in (
        (Step(20, 512), 512, "20 pictures a second: this computer is busy"),
        (Step(15, 384), 384, "15 pictures a second, 384 px: this computer is busy"),
        (Step(0, 256), 256, "A still portrait with sound: this computer is busy"),
        (None, 512, ""),
    ):
        session.step = step
        eventually(page, lambda told=told: page.inner_text("#hud-step") == told, f"it says {told!r}")
        until(page, f"document.getElementById('video').videoWidth === {width}")
    assert page.inner_text("#status") == "Live"
    visit.clean()


def test_mute_stops_the_microphone_and_is_heard_by_screen_readers(visit: Visit) -> None:
    page = visit.ready()
    assert page.is_disabled("#mute")
    page.click("#start")
    visit.live()
    page.click("#mute:enabled")
    assert page.get_attribute("#mute", "aria-pressed") == "true"
    assert page.inner_text("#mute") == "Unmute"
    until(page, "Number(document.getElementById('meter').getAttribute('aria-valuenow')) <= -59")
    page.click("#mute")
    until(page, "Number(document.getElementById('meter').getAttribute('aria-valuenow')) > -50")
    visit.clean()


def test_the_own_voice_is_silent_until_asked_for_but_a_sample_is_heard(visit: Visit, server: Server) -> None:
    page = visit.ready()
    page.click("#start")
    visit.live()
    assert page.evaluate("document.getElementById('video').muted")
    page.click("#hear")
    assert not page.evaluate("document.getElementById('video').muted")
    assert page.is_visible("#hear-hint")
    page.click("#hear")
    page.click("#say")
    until(page, "!document.getElementById('video').muted")
    eventually(page, lambda: page.inner_text("#say") == "Stop the sample", "the sample is spoken")
    until(page, "document.getElementById('video').muted")
    visit.clean()


def test_without_a_microphone_the_sample_speaks(browser: Any, server: Server) -> None:
    visit = Visit(browser, server.url)
    visit.context.add_init_script(
        "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotAllowedError') }"
    )
    visit.page.reload()
    page = visit.ready()
    page.click("#start")
    visit.live()  # the picture does not need a microphone
    page.wait_for_selector("#notice:not([hidden])")
    assert "microphone is blocked" in page.inner_text("#notice")
    page.click("#notice-action")
    eventually(page, lambda: only_session(server).pushed, "the sample arrives")
    visit.clean()
    visit.context.close()


def test_sliders_pads_and_presets_reach_the_session(visit: Visit, server: Server) -> None:
    page = visit.ready()
    page.click("#start")
    visit.live()
    page.fill("#smile", "100")
    page.fill("#roll", "-6")
    page.fill("#mouth-gain", "1.5")
    page.uncheck("#idle")
    eventually(page, lambda: changes(server).get("idle") is False, "the switch arrives")
    kept = changes(server)
    assert (kept["mouthSmileLeft"], kept["roll"], kept["mouth_gain"]) == (0.9, -6, 1.5)
    side = page.locator("#gaze-pad").bounding_box()["width"]
    page.click("#gaze-pad", position={"x": side * 0.9, "y": side * 0.5})
    eventually(page, lambda: (changes(server).get("eyeLookOutLeft") or 0) > 0.5, "the gaze arrives")
    assert changes(server)["eyeLookInRight"] > 0.5  # right in the picture is the person's left
    page.click("text=Surprised")
    eventually(page, lambda: changes(server).get("preset") == "surprised", "the preset arrives")
    assert page.input_value("#smile") == "0"
    page.check("input[value=ravi]", force=True)
    eventually(page, lambda: changes(server).get("portrait") == "ravi", "the face changes while live")
    visit.clean()


def test_everything_can_be_done_from_the_keyboard(visit: Visit, server: Server) -> None:
    page = visit.ready()
    page.focus("input[value=amara]")
    page.keyboard.press("ArrowRight")
    assert page.is_checked("input[value=edith]")
    tab_to(page, "start")
    page.keyboard.press("Enter")
    visit.live()
    assert only_session(server).settings.portrait == "edith"
    tab_to(page, "head-x")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    eventually(page, lambda: changes(server).get("yaw") == 2, "the head turns")
    assert page.get_attribute("#head-x", "aria-valuetext") == "2 degrees right"
    tab_to(page, "idle")
    page.keyboard.press("Space")
    eventually(page, lambda: changes(server).get("idle") is False, "the switch arrives")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    visit.clean()


def tab_to(page: Any, element: str) -> None:
    for _ in range(80):
        if page.evaluate("document.activeElement.id") == element:
            return
        page.keyboard.press("Tab")
    pytest.fail(f"Tab does not reach #{element}")


def photo(tmp_path: Path, size: tuple[int, int] = (3000, 4000)) -> Path:
    """A portrait-format photo that is stored lying down, as phones do."""
    file, picture = tmp_path / "photo.jpg", Image.new("RGB", (size[1], size[0]), "tan")
    exif = picture.getexif()
    exif[0x0112] = 6  # turn clockwise
    picture.save(file, exif=exif)
    return file


def test_a_photo_becomes_a_face_only_with_consent(visit: Visit, server: Server, tmp_path: Path) -> None:
    page = visit.ready()
    page.click("#add-face")
    page.set_input_files("#file", photo(tmp_path))
    page.wait_for_selector("#step-confirm:not([hidden])")
    page.fill("#face-name", "Ada")
    page.click("#enrol")
    assert "agrees" in page.inner_text("#add-error")
    page.check("#consent")
    page.click("#enrol")
    assert "Sign" in page.inner_text("#add-error")
    assert page.evaluate("document.activeElement.id") == "signature"
    assert server.library.photos == []
    eventually(page, lambda: server.library.prepared, "what a photo needs is made ready")
    page.fill("#signature", "Ada L")
    page.click("#enrol")
    page.wait_for_selector("#add", state="hidden")
    page.wait_for_selector(".face input:checked + img[src*=my-]")
    assert "Signed: Ada L, 2" in server.library.consents[0]
    with Image.open(io.BytesIO(server.library.photos[0])) as sent:
        assert sent.size == (1536, 2048)  # upright and small
        assert sent.getexif().get(0x0112, 1) == 1
    visit.clean()


def test_a_bad_photo_gets_one_line_where_it_was_chosen(visit: Visit, server: Server, tmp_path: Path) -> None:
    page = visit.ready()
    page.click("#add-face")
    (tmp_path / "notes.txt").write_text("no picture")
    page.set_input_files("#file", tmp_path / "notes.txt")
    page.check("#consent")
    page.fill("#signature", "Ada")
    page.click("#enrol")
    page.wait_for_selector("#add-error:not([hidden])")
    assert "face" in page.inner_text("#add-error")
    assert page.is_enabled("#enrol")
    assert page.evaluate("violations") == []


def test_a_photo_can_be_taken(visit: Visit) -> None:
    page = visit.ready()
    page.click("#add-face")
    page.click("#open-camera")
    until(page, "document.getElementById('camera').videoWidth > 0")
    page.click("#shoot")
    page.wait_for_selector("#step-confirm:not([hidden])")
    assert page.evaluate("document.getElementById('camera').srcObject") is None  # the camera's light is off
    page.keyboard.press("Escape")
    page.wait_for_selector("#add", state="hidden")
    visit.clean()


def test_the_page_is_there_while_the_workers_warm_up(browser: Any) -> None:
    with Server(ready=False) as server:
        visit = Visit(browser, server.url)
        page = visit.page
        page.wait_for_selector("#status[data-state=busy]")
        page.wait_for_selector(".face")
        eventually(page, lambda: page.inner_text("#status") == "Warming up", "it says what it waits for")
        assert page.is_disabled("#start")
        server.sessions.ready = True
        visit.ready()
        visit.clean()
        visit.context.close()


def test_the_page_recovers_when_the_server_was_restarted(visit: Visit, server: Server) -> None:
    page = visit.ready()
    page.click("#start")
    visit.live()
    page.fill("#smile", "50")
    before = only_session(server)
    server.stop()
    page.wait_for_selector("#status[data-state=busy]")
    server.start()
    until(page, "document.getElementById('status').dataset.state === 'live'")
    after = only_session(server)
    assert after is not before
    assert after.id == before.id  # the stage's address stays
    eventually(page, lambda: changes(server).get("mouthSmileLeft") == 0.45, "what was set is set again")
    eventually(page, lambda: after.pushed, "the voice arrives again")


def test_the_page_recovers_when_its_peers_are_lost(visit: Visit, server: Server) -> None:
    page = visit.ready()
    page.click("#start")
    visit.live()
    before = page.evaluate("document.documentElement.dataset.connections = '0'")
    assert before == "0"
    only_session(server).viewers = 0
    page.evaluate("document.getElementById('video').srcObject.getTracks().forEach(t => t.stop())")
    until(page, "document.getElementById('status').dataset.state === 'busy'")
    until(page, "document.getElementById('status').dataset.state === 'live'")
    visit.clean()


def test_the_stage_shows_the_picture_alone_and_waits_for_it(browser: Any, server: Server, visit: Visit) -> None:
    page = visit.ready()
    page.click("#start")
    visit.live()
    name = only_session(server).id
    stage = Visit(browser, f"{server.url}/stage/{name}?muted")
    stage.page.wait_for_selector("html[data-state=live]")
    assert stage.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)"
    assert stage.page.evaluate("document.getElementById('video').videoWidth") == 512
    stage.clean()
    page.click("#start")
    stage.page.wait_for_selector("html[data-state=waiting]")
    page.click("#start")
    stage.page.wait_for_selector("html[data-state=live]")
    stage.context.close()


def test_a_full_server_says_so(visit: Visit, server: Server) -> None:
    page = visit.ready()
    server.sessions.room = 0
    page.click("#start")
    page.wait_for_selector("#notice:not([hidden])")
    assert "no room" in page.inner_text("#notice").lower()
    assert page.inner_text("#start") == "Start"


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (820, "dark"), (1440, "light"), (3840, "dark")])
def test_nothing_overflows(browser: Any, server: Server, width: int, scheme: str) -> None:
    visit = Visit(browser, server.url, viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
    page = visit.ready()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    small = """() => Array.from(document.querySelectorAll('button, select')).filter(e => e.offsetParent)
        .map(e => [e.id || e.textContent, e.getBoundingClientRect().height]).filter(([, h]) => h < 30)"""
    assert page.evaluate(small) == []
    visit.clean()
    visit.context.close()


def test_every_control_has_a_name(visit: Visit) -> None:
    page = visit.ready()
    nameless = """() => Array.from(document.querySelectorAll('button:not([hidden]), input, select, video')).filter(e => {
        const label = e.labels?.length ? e.labels[0].textContent : '';
        return !(e.getAttribute('aria-label') || label || e.textContent).trim();
    }).map(e => e.outerHTML)"""
    assert page.evaluate(nameless) == []


def test_the_login_page_lets_in_who_knows_the_token(browser: Any) -> None:
    token = "a-token-of-sixteen-or-more"
    with Server(ServerConfig(token=token)) as server:
        visit = Visit(browser, server.url)
        visit.page.fill("#token", "not the token")
        with visit.page.expect_navigation():
            visit.page.click("button")
        visit.page.fill("#token", token)
        visit.page.click("button")
        page = visit.ready()
        page.click("#start")
        visit.live()  # WHIP, WHEP and the socket are let in too
        visit.context.close()
