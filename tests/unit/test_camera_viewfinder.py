import asyncio
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.errors import MienError
from streaming.camera.camera import GONE_S, Camera
from streaming.camera.cameras import Cameras
from streaming.camera.machine import Machine
from streaming.camera.messages import Begin, Coded, Encoded, End, Found, Lost, Manner, Message, Neutral, Outline, Read, Unusable
from streaming.camera.viewfinder import Viewfinder
from streaming.contract import CodedPicture, PictureCodec

VP8 = PictureCodec("vp8")
NOW = 100.0


@pytest.fixture(autouse=True)
def time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.camera.camera.now", lambda: NOW)


class FakeCameras(Cameras):
    """Keeps what is sent to the process."""

    def __init__(self, *, ready: bool = True) -> None:
        super().__init__()
        self.ready = ready
        self.sent: list[Message] = []
        self.crowded = False

    @property
    def full(self) -> bool:
        return self.crowded

    def send(self, message: Message) -> None:
        self.sent.append(message)

    def prepare(self) -> None:
        pass

    @property
    def only(self) -> Camera:
        (camera,) = self._cameras.values()
        return camera

    def kinds(self) -> list[str]:
        kinds, self.sent = [type(message).__name__ for message in self.sent], []
        return kinds


class Stand:
    def __init__(self, *, ready: bool = True, machine: bool = False) -> None:
        self.cameras = FakeCameras(ready=ready)
        self.looks: list[tuple[float, float]] = []  # when, confidence
        self.feed = Feed()
        self.machine = Machine(self.cameras, self.feed) if machine else None
        self.viewfinder = self.another()

    def another(self) -> Viewfinder:
        def look(arrived: float, values: NDArray[np.float32], confidence: NDArray[np.float32]) -> None:
            self.looks.append((arrived, float(confidence.sum())))

        return Viewfinder(self.cameras, self.machine, look)


class Feed:
    """This machine's camera, pushed by hand."""

    def __init__(self) -> None:
        self.fed = 0
        self.push: Callable[[CodedPicture], object] | None = None
        self.fails = ""

    async def feed(self, push: Callable[[CodedPicture], object]) -> None:
        self.fed += 1
        if self.fails:
            raise MienError(self.fails)
        self.push = push
        try:
            await asyncio.Event().wait()
        finally:
            self.push = None


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0)


def picture(*, key: bool = True, codec: PictureCodec = VP8, arrived: float = NOW) -> CodedPicture:
    return CodedPicture(codec, key, b"data", arrived)


def found(key: int, state: str = "following") -> Found:
    sure = np.full(5, float(state == "following"), np.float32)
    return Found(key, NOW - 0.02, 0.0, 0.0, state, 1, 0.5, np.zeros(58, np.float32), sure)


def test_a_camera_begins_with_its_first_key_frame() -> None:
    stand = Stand()
    assert stand.viewfinder.status().state == "off"
    assert not stand.viewfinder.push(picture(key=False))
    assert stand.cameras.kinds() == ["Begin"]
    assert stand.viewfinder.push(picture())
    assert stand.viewfinder.push(picture(key=False))
    assert stand.cameras.kinds() == ["Coded", "Coded"]
    assert stand.viewfinder.status().state == "starting"


def test_what_is_seen_is_handed_on_and_counted() -> None:
    stand = Stand()
    stand.viewfinder.push(picture())
    camera = stand.cameras.only
    for _ in range(5):
        camera.take(found(camera.key))
    status = stand.viewfinder.status()
    assert (status.source, status.state, status.fps, status.faces, status.calibrated) == ("browser", "following", 5, 1, 0.5)
    assert status.late_ms == pytest.approx(20)
    assert [sure for _, sure in stand.looks] == [5.0] * 5
    camera.take(found(camera.key, "covered"))
    assert stand.viewfinder.status().state == "covered"


def test_a_key_frame_is_wanted_after_a_loss_a_crowd_and_a_fall() -> None:
    stand = Stand()
    stand.viewfinder.push(picture())
    camera = stand.cameras.only
    camera.take(Lost(camera.key))
    assert not stand.viewfinder.push(picture(key=False))
    assert stand.viewfinder.push(picture())
    stand.cameras.crowded = True
    assert not stand.viewfinder.push(picture())
    stand.cameras.crowded = False
    assert not stand.viewfinder.push(picture(key=False))
    assert stand.viewfinder.push(picture())
    camera.fall()
    stand.cameras.sent.clear()
    assert not stand.viewfinder.push(picture(key=False))
    assert stand.viewfinder.push(picture())
    assert stand.cameras.kinds() == ["Begin", "Coded"]


def test_nothing_is_sent_to_a_process_that_is_not_ready() -> None:
    stand = Stand(ready=False)
    assert not stand.viewfinder.push(picture())
    assert stand.cameras.sent == []
    assert stand.viewfinder.status().state == "starting"


def test_another_codec_begins_anew() -> None:
    stand = Stand()
    stand.viewfinder.push(picture())
    assert not stand.viewfinder.push(picture(key=False, codec=PictureCodec("h264")))
    assert stand.cameras.kinds() == ["Begin", "Coded", "Begin"]


def test_a_camera_that_is_silent_is_gone_and_one_that_ends_is_off() -> None:
    stand = Stand()
    stand.viewfinder.push(picture(arrived=NOW - GONE_S - 0.1))
    assert stand.viewfinder.status().state == "gone"
    stand.viewfinder.end_pictures()
    assert stand.viewfinder.status().state == "off"
    assert stand.cameras.kinds()[-1] == "End"
    assert stand.looks[-1][1] == 0.0


def test_what_cannot_be_used_says_why_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stand = Stand()
    stand.viewfinder.push(picture())
    camera = stand.cameras.only
    camera.take(Unusable(camera.key, "too large"))
    assert stand.viewfinder.status().reason == "too large"
    assert stand.viewfinder.push(picture())
    assert stand.cameras.kinds() == ["Begin", "Coded"]
    monkeypatch.setattr("streaming.camera.camera.AGAIN_S", 0.0)
    camera.take(Unusable(camera.key, "too large"))
    assert not stand.viewfinder.push(picture(key=False))
    assert stand.viewfinder.push(picture())
    assert stand.cameras.kinds() == ["Begin", "Coded"]
    camera.take(found(camera.key))
    assert stand.viewfinder.status().reason == ""


def test_the_manner_is_told_when_it_changes() -> None:
    stand = Stand()
    stand.viewfinder.behave(Manner(eye_contact=True))
    stand.viewfinder.push(picture())
    begin = stand.cameras.sent[0]
    assert isinstance(begin, Begin)
    assert begin.manner == Manner(eye_contact=True)
    stand.cameras.kinds()
    stand.viewfinder.behave(Manner(eye_contact=True))
    stand.viewfinder.behave(Manner(lips_from_voice=False))
    stand.viewfinder.take_neutral()
    assert stand.cameras.kinds() == ["Read", "Neutral"]


def test_the_outline_is_drawn_for_who_asked() -> None:
    stand, drawn = Stand(), list[NDArray[np.float32]]()
    stand.viewfinder.push(picture())
    camera = stand.cameras.only
    stand.viewfinder.outline(drawn.append)
    assert camera.manner.outline
    camera.take(Outline(camera.key, np.ones((110, 2), np.float32)))
    stand.viewfinder.end_pictures()
    assert [len(points) for points in drawn] == [110, 0]
    stand.viewfinder.outline(None)
    assert not stand.viewfinder.manner.outline


def test_a_browsers_pictures_are_not_wanted_while_another_camera_is_chosen() -> None:
    stand = Stand()
    stand.viewfinder.push(picture())
    stand.viewfinder.choose("off")
    assert stand.viewfinder.push(picture())
    assert stand.cameras.kinds() == ["Begin", "Coded", "End"]
    assert stand.viewfinder.status().state == "off"
    with pytest.raises(ValueError, match="start it with --camera"):
        stand.viewfinder.choose("machine")
    with pytest.raises(ValueError, match="expected one of"):
        stand.viewfinder.choose("webcam")


async def test_this_machines_camera_is_read_once_for_all_who_follow_it() -> None:
    stand = Stand(machine=True)
    second = stand.another()
    for viewfinder in (stand.viewfinder, second):
        viewfinder.choose("machine")
    await asyncio.sleep(0)
    assert stand.feed.fed == 1
    assert stand.feed.push is not None
    stand.feed.push(picture())
    camera = stand.cameras.only
    camera.take(found(camera.key))
    assert len(stand.looks) == 2
    assert stand.viewfinder.status().source == "machine"
    second.behave(Manner(eye_contact=True))
    assert camera.manner.eye_contact
    second.close()
    assert not camera.manner.eye_contact
    stand.viewfinder.choose("browser")
    await until(lambda: stand.feed.push is None)
    assert [type(message) for message in stand.cameras.sent].count(End) == 1
    assert any(isinstance(message, Coded) for message in stand.cameras.sent)
    assert not any(isinstance(message, Neutral) for message in stand.cameras.sent)
    assert any(isinstance(message, Read) for message in stand.cameras.sent)


async def test_a_camera_of_this_machine_that_has_gone_says_so_and_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.camera.machine.AGAIN_S", 0.0)
    stand = Stand(machine=True)
    stand.feed.fails = "video0 has ended"
    stand.viewfinder.choose("machine")
    await until(lambda: stand.feed.fed > 1)
    assert (stand.viewfinder.status().state, stand.viewfinder.status().reason) == ("gone", "video0 has ended")
    stand.feed.fails = ""
    await until(lambda: stand.feed.push is not None)
    assert stand.feed.push is not None
    stand.feed.push(picture())
    assert stand.viewfinder.status().reason == ""
    assert stand.machine is not None
    await stand.machine.close()


@pytest.mark.parametrize("source", ["browser", "machine"])
async def test_what_the_encoder_says_is_handed_on_with_its_instant(source: str) -> None:
    stand, driven = Stand(machine=True), list[tuple[float, float]]()
    stand.viewfinder.choose(source)
    stand.viewfinder.push(picture())
    camera = stand.cameras.only
    camera.take(Encoded(camera.key, NOW - 0.05, np.ones(42, np.float32)))
    stand.viewfinder.drive = lambda arrived, latents: driven.append((arrived, float(latents.sum())))
    camera.take(Encoded(camera.key, NOW - 0.02, np.ones(42, np.float32)))
    assert driven == [(NOW - 0.02, 42.0)]
    stand.viewfinder.behave(Manner(encode=False))
    assert not camera.manner.encode
    stand.viewfinder.close()
