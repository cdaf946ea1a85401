import asyncio
import io
from collections.abc import AsyncIterator

import numpy as np
from PIL import Image

from streaming.contract import LiveSession, Outgoing, SessionSettings
from streaming.desk import Desk
from streaming.posters import Posters, jpeg
from tests.house import FakeSession, FakeSessions


async def test_a_poster_is_the_first_frame_and_its_session_is_gone() -> None:
    sessions = FakeSessions()
    drawn = await Posters(sessions).get("amara")
    assert drawn is not None
    with Image.open(io.BytesIO(drawn)) as picture:
        assert picture.size == (512, 512)
    assert all(session.closed for session in sessions.opened.values())


async def test_nobody_is_disturbed_for_a_poster() -> None:
    sessions = FakeSessions()
    await sessions.open(SessionSettings("mei"), "live")
    assert await Posters(sessions).get("amara") is None
    assert list(sessions.opened) == ["live"]


async def test_a_poster_is_drawn_once() -> None:
    sessions = FakeSessions(room=1)
    posters = Posters(sessions)
    first = await posters.get("amara")
    sessions.opened.clear()
    assert await posters.get("amara") is first
    assert sessions.opened == {}


async def test_no_poster_is_worth_a_session_that_may_fill_the_machine() -> None:
    sessions = FakeSessions()
    assert await Posters(sessions, cheap=False).get("amara") is None
    assert sessions.opened == {}


class Slow(FakeSession):
    """Shows nothing for a long time."""

    async def subscribe(self) -> AsyncIterator[Outgoing]:
        await asyncio.sleep(3600)
        async for outgoing in super().subscribe():
            yield outgoing


class SlowSessions(FakeSessions):
    async def open(self, settings: SessionSettings, session_id: str | None = None) -> LiveSession:
        await super().open(settings, session_id or "poster")
        if session_id is None:
            self.opened["poster"] = Slow("poster", settings)
        return self.opened[session_id or "poster"]


async def test_who_wants_to_be_live_does_not_find_a_poster_in_the_place() -> None:
    sessions = SlowSessions(room=1)
    posters = Posters(sessions)
    desk = Desk(sessions, aside=posters.aside)
    drawing = [asyncio.create_task(posters.get(name)) for name in ("amara", "mei")]  # one is drawn, one waits for it
    while not sessions.all():
        await asyncio.sleep(0)
    seat = await desk.open(SessionSettings("ravi"), "live")
    assert await asyncio.gather(*drawing) == [None, None]
    assert list(sessions.all()) == [seat.id] == ["live"]
    await desk.end("live")
    assert not sessions.all()


async def test_a_poster_that_nobody_waits_for_is_not_drawn_on() -> None:
    sessions = SlowSessions()
    drawing = asyncio.create_task(Posters(sessions).get("amara"))
    while not sessions.all():
        await asyncio.sleep(0)
    drawing.cancel()
    await asyncio.gather(drawing, return_exceptions=True)
    while sessions.all():
        await asyncio.sleep(0)


async def test_no_room_no_poster() -> None:
    assert await Posters(FakeSessions(room=0)).get("amara") is None


def test_a_picture_is_encoded_in_its_colours() -> None:
    i420 = np.full((96, 64), 128, np.uint8)
    i420[:64] = 82  # pure red, BT.601 limited: 82, 90, 240
    i420[64:80], i420[80:] = 90, 240
    with Image.open(io.BytesIO(jpeg(i420))) as picture:
        r, g, b = picture.convert("RGB").getpixel((32, 32))  # pyright: ignore[reportGeneralTypeIssues]
    assert r > 245
    assert g < 12
    assert b < 12
