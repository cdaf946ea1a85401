"""How long a worker may be silent."""

from streaming.worker.admission import Admission
from streaming.worker.messages import Beat, Ready
from streaming.worker.options import WorkerOptions
from streaming.worker.pool import FRAMES_SILENT, SILENCE_S, START_S, Worker


def patience_s(frame_s: float, beat_s: float) -> float:
    worker = Worker(WorkerOptions(), Admission(2))
    assert worker._patience_s() == START_S
    worker._hear(Ready(512, frame_s))
    worker._hear(Beat({"1": beat_s}))
    worker._arena.close()
    return worker._patience_s()


def test_a_worker_whose_frames_are_slow_may_be_silent_for_longer() -> None:
    assert patience_s(0.01, 0.0) == SILENCE_S
    assert patience_s(1.5, 0.0) == FRAMES_SILENT * 1.5
    assert patience_s(0.01, 0.9) == FRAMES_SILENT * 0.9
