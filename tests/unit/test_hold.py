import numpy as np
import pytest

from streaming.worker.hold import HOLD_MAX_S, MARGIN_S, RATE_LIMIT, Hold
from streaming.worker.resample import REACH_AFTER

PACKET, PIECE = 0.02, 0.02
UNEVEN = 1 / 60
"""A piece that cannot always end where a packet does."""


def run(
    hold: Hold, hours: float, ppm: float, jitter_s: float, start_error_s: float = 0.0, piece: float = PIECE, phase: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """The true delay at each piece of a reader that `hold` steers, in seconds, and how much of the piece had not come.

    The far clock runs `ppm` fast; pieces are taken at `phase` of a packet's way.
    """
    rng = np.random.default_rng(1)
    ticks = round(hours * 3600 / piece)
    late = rng.uniform(0, jitter_s, round(ticks * piece / PACKET) + 500).tolist()
    rate, position, speed, sent = 1 + ppm * 1e-6, 0.0, 1.0, 0
    delays, short = np.zeros(ticks), np.zeros(ticks)
    for tick in range(ticks):
        due = 1.0 + tick * piece + phase * PACKET
        while (arrival := (sent + 1) * PACKET / rate + late[sent]) <= due:
            sent += 1
            hold.arrive(sent * PACKET, PACKET, arrival)
        if tick == 0:
            hold.settle(due, piece)
            position = hold.present(due) - hold.target - start_error_s
        else:
            position += piece * speed
        speed = hold.follow(hold.delay(position, due) - hold.adapt(due, piece), piece)
        delays[tick], short[tick] = due * rate - position, max(0.0, position + REACH_AFTER / 48_000 - sent * PACKET)
    return delays, short


def minutes(count: float, piece: float = PIECE) -> int:
    """Pieces."""
    return round(60 * count / piece)


@pytest.mark.parametrize(("ppm", "hours"), [(200, 1.0), (-200, 0.1), (0, 0.1)])
def test_the_delay_stays_within_5_ms_for_hours_though_the_clocks_differ(ppm: float, hours: float) -> None:
    settled = run(Hold(), hours, ppm, jitter_s=0.008, piece=UNEVEN)[0][minutes(1, UNEVEN) :]
    assert settled.max() - settled.min() < 0.005
    first, last = settled[: minutes(1, UNEVEN)], settled[-minutes(1, UNEVEN) :]
    assert abs(np.median(last) - np.median(first)) < 0.001


@pytest.mark.parametrize(("ppm", "hours"), [(200, 1.0), (-200, 0.2), (20, 1.0)])
def test_a_reader_that_ends_where_packets_end_needs_up_to_a_packet_less_for_hours(ppm: float, hours: float) -> None:
    delays, short = run(Hold(), hours, ppm, jitter_s=0.008)
    uneven = run(Hold(), 0.1, ppm, jitter_s=0.008, piece=UNEVEN)[0][minutes(1, UNEVEN) :]
    settled = delays[minutes(1) :]
    assert settled.max() < np.median(uneven) + 0.005
    assert settled.mean() < np.median(uneven) - 0.004
    assert (short[minutes(1) :] > 0).mean() < 0.02
    assert np.abs(np.diff(settled)).max() <= RATE_LIMIT * PIECE + 1e-5, "it moves over slowly"


@pytest.mark.parametrize("phase", [0.02, 0.3, 0.6, 0.9])
def test_a_reader_ends_where_packets_end_whatever_the_phase(phase: float) -> None:
    delays, short = run(Hold(), 0.02, 0, jitter_s=0.004, phase=phase)
    behind = (delays[-1] - phase * PACKET) % PACKET
    assert min(behind, PACKET - behind) < 0.001
    assert delays[-1] < 0.004 + PACKET + MARGIN_S + 0.001
    assert (short[minutes(0.2) :] > 0).mean() < 0.02


@pytest.mark.parametrize("phase", [0.05, 0.4, 0.7])
def test_at_the_bound_a_reader_that_ends_where_packets_end_lacks_no_more_than_another(phase: float) -> None:
    lacking = {}
    for piece in (PIECE, UNEVEN):
        hold = Hold()
        short = run(hold, 0.05, 0, jitter_s=0.06, phase=phase, piece=piece)[1][minutes(0.5, piece) :]
        lacking[piece] = np.minimum(short, piece).sum() / (len(short) * piece)
        assert hold.target <= HOLD_MAX_S
    assert lacking[PIECE] < lacking[UNEVEN] + 0.02


def test_a_line_that_becomes_worse_is_followed_soon() -> None:
    hold = Hold()
    run(hold, 0.02, 0, jitter_s=0.002, phase=0.5)
    before, end, at = hold.target, 10_000.0, 20_000.0
    hold.restart()
    for k in range(100):
        hold.arrive(end + k * PACKET, PACKET, at + k * PACKET + 0.03 * (k % 2))
        hold.adapt(at + k * PACKET, PIECE)
    assert hold.target > before + 0.02


def test_without_it_the_same_clocks_part_by_720_ms_an_hour() -> None:
    class Rigid(Hold):
        def follow(self, error: float, elapsed: float) -> float:
            return 1.0

    delays = run(Rigid(), hours=0.2, ppm=200, jitter_s=0.008)[0]
    assert delays[-1] - delays[0] > 0.14


@pytest.mark.parametrize("piece", [PIECE, UNEVEN])
def test_a_small_error_is_gone_within_two_seconds_and_is_not_chased_faster_than_allowed(piece: float) -> None:
    delays = run(Hold(), hours=0.01, ppm=0, jitter_s=0.0, start_error_s=0.005, piece=piece)[0]
    assert abs(delays[round(6 / piece)] - delays[-1]) < 0.001
    assert np.abs(np.diff(delays)).max() <= RATE_LIMIT * piece + 1e-9


def test_the_target_is_a_packet_plus_the_jitter_within_bounds() -> None:
    for jitter, low, high in ((0.0, 0.020, 0.026), (0.015, 0.033, 0.042), (0.2, 0.060, 0.060)):
        hold = Hold()
        run(hold, hours=0.02, ppm=0, jitter_s=jitter, piece=UNEVEN)
        assert low - 1e-6 <= hold.target <= high + 1e-6, f"jitter {jitter}: {hold.target}"


def test_a_packet_longer_than_the_bound_is_held_whole() -> None:
    hold = Hold()
    for k in range(1, 60):
        hold.arrive(k * 0.1, 0.1, k * 0.1)
        hold.adapt(k * 0.1, 0.013)
    assert hold.target == pytest.approx(0.1 + MARGIN_S)


def test_the_drift_is_learnt_but_by_who_is_in_step_by_itself() -> None:
    for piece, learnt in ((UNEVEN, 150e-6), (PIECE, 0.0)):
        hold = Hold()
        run(hold, hours=0.02, ppm=150, jitter_s=0.002, piece=piece)
        assert hold.drift == pytest.approx(learnt, abs=30e-6)


def test_after_a_pause_the_present_is_that_of_the_next_packet() -> None:
    hold = Hold()
    hold.arrive(1.0, PACKET, 1.0)
    hold.restart()
    assert not hold.known
    hold.arrive(1.02, PACKET, 9.0)
    assert hold.present(9.0) == pytest.approx(1.02)
