import numpy as np
import pytest

from benchmarks.camera_figures import turns

FRAME_MS = 40.0


def seen(delay_ms: float, size: float = 40.0, frames: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of 16 pixels that move within 120 ms, so long after a turn at 3000 ms, to something else; with noise."""
    rng = np.random.default_rng(0)
    shown = np.arange(frames) * FRAME_MS
    share = np.clip((shown - 3000.0 - delay_ms) / 120.0 + 1 / 3, 0, 1)
    way = rng.normal(0, size, 16)
    return shown, (100 + share[:, None] * way + rng.normal(0, 0.5, (frames, 16))).astype(np.float32)


@pytest.mark.parametrize("delay_ms", [80.0, 160.0, 240.0])
def test_a_turn_is_timed_to_the_first_picture_that_shows_it(delay_ms: float) -> None:
    found = turns(np.array([3000.0]), *seen(delay_ms))
    assert found.first_ms == [pytest.approx(delay_ms, abs=FRAME_MS)]
    assert found.half_ms[0] > found.first_ms[0]
    assert found.unseen == 0


def test_a_turn_that_does_not_show_is_counted_and_one_at_the_edge_is_left_out() -> None:
    found = turns(np.array([3000.0, 7900.0]), *seen(100.0, size=0.5))
    assert (found.first_ms, found.unseen) == ([], 1)
