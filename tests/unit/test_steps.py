import select
from dataclasses import replace

import pytest

from streaming.contract import SessionSettings, Stamps, Step
from streaming.worker.arena import Arena
from streaming.worker.ladder import JUDGED_S
from streaming.worker.loader import Loader
from streaming.worker.messages import Frame, Message, Open, Refused, Stepped
from streaming.worker.session import WorkerSession
from streaming.worker.steps import Steps
from tests.fake_studio import FakeStudio

FRAME = Frame(1, 0, 0, 512, 0, True, False, Stamps(due=1.0, colour=1.01))
LATE = replace(FRAME, stamps=Stamps(due=1.0, colour=1.05))


class Stand:
    """Sessions on steps; their worker is as busy as a test says."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.studio, self.loader = FakeStudio(), Loader()
        self.steps = Steps(self.studio, self.loader, self.sent.append, str)
        self.sessions: dict[int, WorkerSession] = {}
        self.at = self.busy_s = 100.0

    def begin(self, key: int, size: int = 512) -> WorkerSession:
        settings = SessionSettings("grey-80", size=size, badge=False)
        performance = self.studio.build(settings, settings.portrait, lambda: self.at)
        opened = Open(key, 0, 100.0, 0, settings.portrait, settings, {})
        session = WorkerSession(opened, performance, self._arena, 100.0, 0.04, lambda: self.at)
        self.sessions[key] = session
        self.steps.begin(session, settings.portrait)
        return session

    _arena = Arena()

    def judge(self, frame: Frame, load: float, seconds: float = JUDGED_S) -> None:
        """Play for a while; what is to be built is built."""
        for _ in range(round(seconds / JUDGED_S)):
            for key in self.sessions:
                for _ in range(6):
                    self.steps.note(replace(frame, key=key))
            self.at += JUDGED_S
            self.busy_s += load * JUDGED_S
            self.steps.judge(self.at, self.busy_s)
            self.build()

    def build(self) -> None:
        while any(sitting.building for sitting in self.steps._sittings.values()):  # pyright: ignore[reportPrivateUsage]
            select.select([self.loader], [], [])
            for loaded in self.loader.take():
                self.steps.loaded(loaded)

    def told(self) -> list[Step]:
        return [message.step for message in self.sent if isinstance(message, Stepped)]


@pytest.fixture
def stand() -> Stand:
    return Stand()


def test_an_overload_is_met_with_fewer_and_smaller_pictures_and_a_calm_undoes_it(stand: Stand) -> None:
    session = stand.begin(1)
    stand.judge(LATE, 1.0, 5)
    assert stand.told() == [Step(20, 512), Step(15, 512), Step(15, 384), Step(15, 256)]
    assert session.step == Step(15, 256)
    assert session.performance.watch.size == 256
    stand.judge(FRAME, 0.1, 10)
    assert stand.told()[-1] == session.step == Step(25, 512)
    assert session.performance.watch.size == 512


def test_what_is_missed_while_a_session_is_opened_is_no_reason(stand: Stand) -> None:
    stand.begin(1)
    stand.loader.submit(2, lambda: None)
    stand.judge(LATE, 1.0, 5)
    assert not stand.told()
    while not stand.loader.take():
        pass
    stand.judge(LATE, 1.0, 5)
    assert stand.told()


def test_pictures_that_were_spared_are_no_reason(stand: Stand) -> None:
    stand.begin(1)
    stand.judge(replace(FRAME, fresh=False, spared=True), 0.1, 5)
    assert not stand.told()
    stand.judge(replace(FRAME, fresh=False), 0.1, 5)
    assert stand.told()


def test_two_are_stilled_and_the_one_that_is_left_moves_again(stand: Stand) -> None:
    first = stand.begin(1)
    second = stand.begin(2)
    stand.judge(LATE, 1.0, 20)
    assert first.step.still
    assert second.performance.watch.still
    stand.steps.end(1)
    assert second.step == Step(15, 256)
    assert not second.performance.watch.still


def test_who_comes_to_a_busy_worker_is_drawn_like_the_others(stand: Stand) -> None:
    stand.begin(1)
    stand.judge(LATE, 1.0, 5)
    stand.sent.clear()
    assert stand.begin(2).step == Step(15, 256)
    assert stand.sent == [Stepped(2, Step(15, 256))]


def test_another_portrait_is_drawn_at_the_size_of_the_step_whenever_it_comes(stand: Stand) -> None:
    session = stand.begin(1)
    stand.judge(LATE, 1.0, 5)
    stand.steps.portray(1, "grey-150")
    stand.build()
    assert session.performance.watch.size == 256
    stand.steps.portray(1, "grey-90")  # and while it is built:
    stand.judge(FRAME, 0.1, 10)
    assert session.performance.watch.size == 512
    session.listen(session.due)
    frame = session.tick()
    assert isinstance(frame, Frame)
    assert frame.size == 512


def test_a_portrait_that_cannot_be_loaded_changes_nothing(stand: Stand) -> None:
    session = stand.begin(1)
    stand.steps.portray(1, "broken")
    stand.build()
    assert stand.sent == [Refused(1, "broken is not a portrait")]
    stand.judge(LATE, 1.0, 5)
    assert session.performance.watch.size == 256


def test_one_that_cannot_be_drawn_smaller_stays_as_it_is(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    session = stand.begin(1)

    def renderer(settings: SessionSettings, portrait: str) -> None:
        raise MemoryError("no room")

    stand.studio.renderer = renderer  # type: ignore[method-assign]
    stand.judge(LATE, 1.0, 5)
    assert session.performance.watch.size == 512
    assert "cannot be drawn at 384 px: no room" in caplog.text
