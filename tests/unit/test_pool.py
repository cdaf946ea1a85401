"""How long a worker may be silent, how it is buried, and what admission learns from what it says."""

import asyncio

import pytest

from streaming.contract import CapacityReached, SessionSettings, Stamps
from streaming.kept import SILENCE_S
from streaming.worker import pool
from streaming.worker.admission import Admission
from streaming.worker.ledger import Ledger
from streaming.worker.messages import Beat, Closed, Frame, Message, Open, Ready
from streaming.worker.options import WorkerOptions
from streaming.worker.pool import FRAMES_SILENT, Worker


def patience_s(frame_s: float, beat_s: float) -> float:
    worker = Worker(WorkerOptions(), Admission(2), Ledger())
    assert worker._patience_s() == Worker.start_s
    worker._hear(Ready(512, frame_s))
    worker._hear(Beat({"1": beat_s}))
    worker._arena.close()
    return worker._patience_s()


def test_a_worker_whose_frames_are_slow_may_be_silent_for_longer() -> None:
    assert patience_s(0.01, 0.0) == SILENCE_S
    assert patience_s(1.5, 0.0) == FRAMES_SILENT * 1.5
    assert patience_s(0.01, 0.9) == FRAMES_SILENT * 0.9


class Fallen:
    """A process that has been killed and needs a moment to end."""

    def __init__(self) -> None:
        self.reaped = 0

    async def reap(self) -> None:
        await asyncio.sleep(0)
        self.reaped += 1


async def test_a_process_whose_burial_is_interrupted_is_buried_by_the_next_one() -> None:
    worker, fallen = Worker(WorkerOptions(), Admission(2), Ledger()), Fallen()
    worker._fallen.append(fallen)  # type: ignore[arg-type]
    burying = asyncio.create_task(worker._bury())
    await asyncio.sleep(0)
    burying.cancel()
    await asyncio.gather(burying, return_exceptions=True)
    assert fallen.reaped == 0
    await worker.close()
    assert fallen.reaped == 1


class Guest:
    """A session placed on a worker."""

    def __init__(self, key: int, *, watched: bool = True) -> None:
        self.key = key
        self.watched = watched
        self.settings = SessionSettings("mei", size=512, fps=25)

    def opening(self, place: int) -> Open:
        return Open(self.key, place, 0.0, 0, "mei.mien", self.settings, {})

    def hear(self, message: Message) -> None:
        pass

    def lost(self) -> None:
        pass


def frame(key: int, *, size: int = 512, fresh: bool = True) -> Frame:
    return Frame(key, 0, 0, size, 0, fresh, False, Stamps())


def test_what_a_picture_costs_is_learned_by_the_size_that_was_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    at = 100.0
    monkeypatch.setattr(pool, "now", lambda: at)
    admission, served = Admission(2), Ledger()
    worker = Worker(WorkerOptions(), admission, served)
    worker.admit(Guest(1))
    worker.admit(Guest(2, watched=False))
    worker._hear(Beat({}, 3.0, 5.0))
    for _ in range(50):
        worker._hear(frame(1))
        worker._hear(frame(2, size=256))
        worker._hear(frame(1, fresh=False))
    at = 101.5
    worker._hear(Beat({"1": 0.02}, 3.5, 5.5, 0.1))
    assert 50 * (admission.device.of(512) + admission.device.of(256)) == pytest.approx(0.1)
    assert 50 * (admission.drawing.of(512) + admission.drawing.of(256)) == pytest.approx(0.5)
    assert 50 * (admission.holding.of(512) + admission.holding.of(256)) == pytest.approx(0.5)
    served.read(at, 0.0)
    for key in (1, 2):
        worker._hear(frame(key))
    window = served.read(at + 2.0, 0.1)
    assert window is not None
    assert window.pictures == {512: 1}, "who is not watched is not encoded"
    worker._arena.close()


def test_a_gpu_whose_memory_is_full_takes_nobody_until_somebody_leaves() -> None:
    admission = Admission(64)
    worker = Worker(WorkerOptions(), admission, Ledger())
    worker._hear(Ready(512, 0.001))
    for key in (1, 2):
        worker.admit(Guest(key))
    worker._hear(Closed(2, "OutOfDeviceMemory", "the GPU's memory is full: 0.1 GB are free, 0.4 GB are needed"))
    with pytest.raises(CapacityReached, match="memory is full"):
        admission.choose(Guest(3).settings, [worker.settings])
    worker.leave(1)
    assert admission.choose(Guest(3).settings, [worker.settings]) == 0
    worker._arena.close()
