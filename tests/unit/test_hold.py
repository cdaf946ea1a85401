import numpy as np
import pytest

from streaming.worker.hold import MARGIN_S, RATE_LIMIT, Hold

PACKET, FRAME = 0.02, 0.04


def run(hold: Hold, hours: float, ppm: float, jitter_s: float, start_error_s: float = 0.0) -> np.ndarray:
    """The true delay at each tick of a reader that `hold` steers, in seconds. The far clock runs `ppm` fast."""
    rng = np.random.default_rng(1)
    ticks = round(hours * 3600 / FRAME)
    late = rng.uniform(0, jitter_s, 2 * ticks + 500).tolist()
    rate, position, speed, sent = 1 + ppm * 1e-6, 0.0, 1.0, 0
    delays = np.zeros(ticks)
    for tick in range(ticks):
        due = 1.0 + tick * FRAME
        while (arrival := (sent + 1) * PACKET / rate + late[sent]) <= due:
            sent += 1
            hold.arrive(sent * PACKET, PACKET, arrival)
        if tick == 0:
            position = hold.present(due) - hold.target - start_error_s
        else:
            position += FRAME * speed
        speed = hold.follow(hold.delay(position, due) - hold.adapt(FRAME), FRAME)
        delays[tick] = due * rate - position
    return delays


@pytest.mark.parametrize(("ppm", "hours"), [(200, 1.0), (-200, 0.1), (0, 0.1)])
def test_the_delay_stays_within_5_ms_for_hours_though_the_clocks_differ(ppm: float, hours: float) -> None:
    delays = run(Hold(), hours, ppm, jitter_s=0.008)
    settled = delays[round(60 / FRAME) :]
    assert settled.max() - settled.min() < 0.005
    first, last = settled[: round(60 / FRAME)], settled[-round(60 / FRAME) :]
    assert abs(np.median(last) - np.median(first)) < 0.001


def test_without_it_the_same_clocks_part_by_720_ms_an_hour() -> None:
    class Rigid(Hold):
        def follow(self, error: float, elapsed: float) -> float:
            return 1.0

    delays = run(Rigid(), hours=0.2, ppm=200, jitter_s=0.008)
    assert delays[-1] - delays[0] > 0.14


def test_a_small_error_is_gone_within_two_seconds_and_is_not_chased_faster_than_allowed() -> None:
    delays = run(Hold(), hours=0.01, ppm=0, jitter_s=0.0, start_error_s=0.005)
    assert abs(delays[round(6 / FRAME)] - delays[-1]) < 0.001
    assert np.abs(np.diff(delays)).max() <= RATE_LIMIT * FRAME + 1e-9


def test_the_target_is_a_packet_plus_the_jitter_within_bounds() -> None:
    for jitter, low, high in ((0.0, 0.020, 0.026), (0.015, 0.033, 0.042), (0.2, 0.060, 0.060)):
        hold = Hold()
        run(hold, hours=0.02, ppm=0, jitter_s=jitter)
        assert low - 1e-6 <= hold.target <= high + 1e-6, f"jitter {jitter}: {hold.target}"


def test_a_packet_longer_than_the_bound_is_held_whole() -> None:
    hold = Hold()
    for k in range(1, 60):
        hold.arrive(k * 0.1, 0.1, k * 0.1)
        hold.adapt(0.1)
    assert hold.target == pytest.approx(0.1 + MARGIN_S)


def test_the_drift_is_learnt() -> None:
    hold = Hold()
    run(hold, hours=0.05, ppm=150, jitter_s=0.002)
    assert hold.drift == pytest.approx(150e-6, abs=30e-6)


def test_after_a_pause_the_present_is_that_of_the_next_packet() -> None:
    hold = Hold()
    hold.arrive(1.0, PACKET, 1.0)
    hold.restart()
    assert not hold.known
    hold.arrive(1.02, PACKET, 9.0)
    assert hold.present(9.0) == pytest.approx(1.02)
