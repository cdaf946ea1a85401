import asyncio

import numpy as np
import pytest

from streaming import desk as desk_module
from streaming.api.events import PING_S
from streaming.contract import SessionSettings
from streaming.desk import ABANDONED_S, SWEEP_S, Desk, Push, Taken, push_in_time
from streaming.remote import HEARING_S
from tests.house import FakeSessions

SETTINGS = SessionSettings("amara")


class Clock:
    """A clock that moves when somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 100.0
        monkeypatch.setattr(desk_module, "now", lambda: self.seconds)
        monkeypatch.setattr(desk_module.asyncio, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.seconds += max(seconds, 0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def test_a_session_that_nobody_uses_is_closed(clock: Clock) -> None:
    sessions = FakeSessions()
    desk = Desk(sessions)
    seat = await desk.open(SETTINGS)
    session = sessions.opened[seat.id]
    clock.seconds += ABANDONED_S - 0.1
    seat.watched_by(1)
    seat.watched_by(0)  # who goes is no sign of life
    clock.seconds += ABANDONED_S - 0.1
    await desk.sweep()
    assert not session.closed
    clock.seconds += 0.2
    await desk.sweep()
    assert session.closed
    assert desk.get(seat.id) is None


def test_a_place_is_free_15_s_after_the_last_sign_of_life_and_a_hole_of_8_s_ends_nothing() -> None:
    assert ABANDONED_S + SWEEP_S + HEARING_S <= 15
    assert ABANDONED_S - PING_S > 8


async def test_a_session_that_closed_itself_is_forgotten(clock: Clock) -> None:
    sessions = FakeSessions()
    desk = Desk(sessions)
    seat = await desk.open(SETTINGS)
    await sessions.opened[seat.id].close()
    await desk.sweep()
    assert desk.all() == {}


async def test_two_requests_for_one_id_cannot_both_have_it() -> None:
    desk = Desk(FakeSessions())
    results = await asyncio.gather(*(desk.open(SETTINGS, "one") for _ in range(2)), return_exceptions=True)
    assert sorted(isinstance(result, Taken) for result in results) == [False, True]


async def test_sound_is_pushed_in_real_time_and_whole(clock: Clock) -> None:
    heard: list[tuple[int, float]] = []
    await push_in_time(lambda pcm, arrived: heard.append((len(pcm), arrived)), np.zeros(2500, np.float32))
    assert [n for n, _ in heard] == [960, 960, 580]
    assert [at for _, at in heard] == pytest.approx([100.02, 100.04, 100.06])


async def test_a_voice_is_not_heard_while_a_sample_is_spoken(clock: Clock) -> None:
    sessions = FakeSessions()
    seat = await Desk(sessions).open(SETTINGS)
    session = sessions.opened[seat.id]
    seat.push_audio(np.zeros(100, np.float32), 0.0)
    seat.say("hello", np.zeros(1920, np.float32))
    seat.push_audio(np.zeros(200, np.float32), 0.0)
    assert seat.speaking == "hello"
    await seat.tasks["sample"]
    assert seat.speaking is None
    seat.push_audio(np.zeros(300, np.float32), 0.0)
    assert session.pushed == [100, 960, 960, 300]


async def test_barge_in_ends_the_sample(clock: Clock) -> None:
    sessions = FakeSessions()
    seat = await Desk(sessions).open(SETTINGS)
    seat.say("hello", np.zeros(48_000, np.float32))
    seat.interrupt()
    assert seat.speaking is None
    assert sessions.opened[seat.id].interrupts == 1


async def test_a_source_that_fails_ends_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(push: Push) -> None:
        raise OSError("unplugged")

    seat = await Desk(FakeSessions()).open(SETTINGS, source="microphone")
    seat.feed(broken)
    await seat.tasks["feed"]
    assert "a source of a session failed" in caplog.text
    assert seat.status().state == "live"
