"""How long a worker may be silent, and how it is buried."""

import asyncio

from streaming.worker.admission import Admission
from streaming.worker.ledger import Ledger
from streaming.worker.messages import Beat, Ready
from streaming.worker.options import WorkerOptions
from streaming.worker.pool import FRAMES_SILENT, SILENCE_S, START_S, Worker


def patience_s(frame_s: float, beat_s: float) -> float:
    worker = Worker(WorkerOptions(), Admission(2), Ledger())
    assert worker._patience_s() == START_S
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
