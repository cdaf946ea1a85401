"""The page's camera in a real Chromium: sent over real WebRTC, followed by a stand-in, and once by the real server."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streaming.camera.outline import LENGTHS
from streaming.contract import CameraStatus
from tests.e2e.conftest import Server, Visit, chromium
from tests.e2e.sitter import write_sitter
from tests.e2e.test_page import eventually, only_session, until
from tests.e2e.test_page_live import ROOT, Serve

pytestmark = pytest.mark.browser

FOLLOWING = CameraStatus("browser", "following", 30.0, 20.0, faces=1, calibrated=1.0)
TRACKER = [ROOT / f"engine/models/face_{part}.onnx" for part in ("detect", "landmarks", "eyes")]
KEEP_TRACK = "void (window.track = document.getElementById('self-video').srcObject.getVideoTracks()[0])"
DOTS = """(() => {  // read off a copy: Chromium complains when a drawn canvas is read often
  const copy = new OffscreenCanvas(640, 480).getContext('2d', {willReadFrequently: true});
  copy.drawImage(document.getElementById('self-points'), 0, 0);
  return copy.getImageData(0, 0, 640, 480).data.some(value => value > 0);
})()"""
PRESS_NEUTRAL = """(() => {  // what it says then is there for a moment only
  const button = document.getElementById('neutral');
  button.click();
  return button.innerText;
})()"""
REFUSE = """const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async wanted => {
  if (wanted.video) throw new DOMException('', '%s');
  return ask(wanted);
};"""


@pytest.fixture(scope="module")
def browser(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium with a microphone that plays `speech`, and a person before its camera."""
    sitter = write_sitter(tmp_path_factory.mktemp("sitter") / "sitter.mjpeg")
    yield from chromium(f"--use-file-for-fake-audio-capture={speech}", f"--use-file-for-fake-video-capture={sitter}")


def live_with_camera(visit: Visit) -> Any:
    """The page, live and with its camera on."""
    page = visit.ready()
    page.click("#webcam")
    page.wait_for_selector("#self:not([hidden])")  # before anything is sent
    page.click("#start")
    visit.live()
    return page


def word(page: Any) -> str:
    return page.inner_text("#webcam-state")


def told(server: Server, name: str) -> Any:
    """The last value of a control."""
    return next((change[name] for change in reversed(only_session(server).changes) if change.get(name) is not None), None)


def outlined(page: Any, server: Server) -> bool:
    """Tell the page of an outline, as a camera does ten times a second; whether it is drawn by now."""
    if (draw := only_session(server).draw) is not None:
        server.soon(draw, np.full((sum(LENGTHS), 2), 0.5, np.float32))
    return page.evaluate(DOTS)


def test_a_camera_is_sent_and_what_it_sees_is_said(visit: Visit, server: Server) -> None:
    page = live_with_camera(visit)
    session = only_session(server)
    eventually(page, lambda: len(session.pictures) > 5, "pictures arrive")
    assert session.pictures[0].key
    session.camera = replace(FOLLOWING, calibrated=0.4)
    eventually(page, lambda: word(page) == "Learning", "it learns the neutral face")
    assert page.is_visible("#learned")
    session.camera = FOLLOWING
    eventually(page, lambda: word(page) == "Following", "it follows")
    assert page.inner_text("#self-line") == "Voice: lips · Camera: expression, eyes, head"
    eventually(page, lambda: session.draw is not None, "the page asks for the outline")
    eventually(page, lambda: outlined(page, server), "and draws it")
    until(page, "!document.getElementById('hud-camera').hidden")
    assert float(page.inner_text("#hud-camera-age")) > FOLLOWING.late_ms
    assert "Taken" in page.evaluate(PRESS_NEUTRAL)
    eventually(page, lambda: told(server, "neutral"), "the neutral face is taken")
    page.check("#eye-contact")
    eventually(page, lambda: told(server, "eye_contact"), "eye contact is wanted")
    visit.clean()


def test_every_trouble_has_a_line_of_its_own(visit: Visit, server: Server) -> None:
    page = live_with_camera(visit)
    session, lines = only_session(server), set[str]()
    states = ("no face", "dark", "covered", "frozen", "turned away", "too small", "gone")
    for state in states:
        session.camera = replace(FOLLOWING, state=state, faces=0)
        eventually(page, lambda: word(page).lower() == state, state)  # noqa: B023 (called within the loop)
        assert page.is_disabled("#neutral")
        assert page.inner_text("#self-line") == page.inner_text("#webcam-line")
        lines.add(page.inner_text("#webcam-line"))
    session.camera = replace(FOLLOWING, faces=2)
    eventually(page, lambda: word(page) == "2 people", "two people")
    session.camera = CameraStatus("browser", "starting", reason="the camera's pictures are too large")
    eventually(page, lambda: word(page) == "Not usable", "why it cannot be used")
    assert page.inner_text("#webcam-line") == "The camera's pictures are too large."
    assert len(lines) == len(states)
    visit.clean()


def test_switched_off_it_is_dark_and_the_voice_goes_on(visit: Visit, server: Server) -> None:
    page = live_with_camera(visit)
    session = only_session(server)
    eventually(page, lambda: session.pictures, "pictures arrive")
    page.evaluate(KEEP_TRACK)
    page.click("#webcam")
    assert page.evaluate("track.readyState") == "ended"
    eventually(page, lambda: session.pictures_ended, "the server knows")
    eventually(page, lambda: told(server, "camera") == "off", "and wants none")
    heard = len(session.pushed)
    eventually(page, lambda: len(session.pushed) > heard + 10, "the voice goes on")
    page.click("#webcam")
    sent = len(session.pictures)
    eventually(page, lambda: len(session.pictures) > sent + 5, "and on again")
    page.evaluate(KEEP_TRACK)
    page.click("#start")
    page.wait_for_selector("#stage[data-state=idle]")
    until(page, "track.readyState === 'ended'")
    assert word(page) == "With Start"  # it comes back with the next session
    visit.clean()


def test_what_moves_what_is_chosen_and_remembered(visit: Visit, server: Server) -> None:
    page = visit.ready()
    page.click("#factors summary")
    assert page.is_disabled("input[name=factor-pose][value=camera]")
    assert page.is_checked("input[name=factor-pose][value=voice]")
    assert "camera on" in page.inner_text("#factors-hint")
    page.check("input[name=factor-expression][value=still]", force=True)
    page.click("#webcam")
    page.click("#start")
    visit.live()
    eventually(page, lambda: (told(server, "factors") or {}).get("expression") == "still", "it begins as chosen")
    assert told(server, "factors")["pose"] == "camera"
    page.focus("input[name=factor-lips][value=voice]")
    page.keyboard.press("ArrowRight")
    eventually(page, lambda: told(server, "factors")["lips"] == "camera", "the camera moves the lips")
    only_session(server).camera = FOLLOWING
    page.wait_for_selector("#motion-hint:not([hidden])")  # the pads say why they do nothing
    page.click("#start")
    page.wait_for_selector("#stage[data-state=idle]")
    page.reload()
    visit.ready()
    assert page.get_attribute("#webcam", "aria-pressed") == "true"
    assert page.is_hidden("#self")  # nobody opens a camera unasked
    assert page.inner_text("#factors-sum") == "Camera: lips, eyes, head · Still: expression"
    visit.clean()


@pytest.mark.parametrize(
    ("error", "line"),
    [("NotAllowedError", "blocked"), ("NotReadableError", "in use"), ("NotFoundError", "No camera was found")],
)
def test_a_camera_that_cannot_be_had_is_one_line(browser: Any, server: Server, error: str, line: str) -> None:
    visit = Visit(browser, server.url)
    visit.context.add_init_script(REFUSE % error)
    visit.page.reload()
    page = visit.ready()
    page.click("#start")
    visit.live()
    page.click("#webcam")
    page.wait_for_selector("#notice:not([hidden])")
    assert line in page.inner_text("#notice")
    assert page.get_attribute("#webcam", "aria-pressed") == "false"
    session = only_session(server)
    eventually(page, lambda: session.pushed, "the voice is heard")
    assert session.pictures == []
    visit.clean()
    visit.context.close()


def test_an_unplugged_camera_leaves_the_voice_alone(visit: Visit, server: Server) -> None:
    page = live_with_camera(visit)
    session = only_session(server)
    eventually(page, lambda: session.pictures and session.pushed, "pictures and voice arrive")
    page.evaluate(KEEP_TRACK)
    page.evaluate("void track.dispatchEvent(new Event('ended'))")
    assert "unplugged" in page.inner_text("#notice")
    assert word(page) == "Unplugged"
    heard = len(session.pushed)
    eventually(page, lambda: session.pictures_ended and len(session.pushed) > heard + 10, "the voice goes on")
    visit.clean()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_page_has_room_for_the_camera(browser: Any, server: Server, scheme: str) -> None:
    visit = Visit(browser, server.url, viewport={"width": 360, "height": 740}, color_scheme=scheme, reduced_motion="reduce")
    page = live_with_camera(visit)
    page.click("#factors summary")
    only_session(server).camera = replace(FOLLOWING, state="covered")
    eventually(page, lambda: word(page) == "Covered", "it is covered")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    chip, stage = (page.locator(name).bounding_box() for name in (".self-chip", "#stage"))
    assert chip["x"] + chip["width"] <= stage["x"] + stage["width"]
    visit.clean()
    visit.context.close()


@pytest.mark.slow
@pytest.mark.skipif(not all(file.exists() for file in TRACKER), reason="the face tracker has no networks yet")
def test_a_face_is_followed_by_the_real_server(browser: Any) -> None:
    serve = Serve()
    try:
        serve.wait_until_warm()
        visit = Visit(browser, serve.url)
        page = live_with_camera(visit)
        eventually(page, lambda: word(page) in ("Learning", "Following"), "it follows")
        until(page, DOTS)
        eventually(page, lambda: word(page) == "Following", "the neutral face is learned")
        page.click("#neutral")
        page.click("#factors summary")
        page.check("input[name=factor-pose][value=still]", force=True)
        until(page, "document.getElementById('factors-sum').textContent.includes('Still: head')")
        page.evaluate(KEEP_TRACK)
        page.click("#webcam")
        assert page.evaluate("track.readyState") == "ended"
        assert page.is_hidden("#notice")
        visit.clean()
        visit.context.close()
        assert serve.end() == 0
    finally:
        serve.close()
