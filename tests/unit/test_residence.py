"""Latencies from what went in and came out of a session whose latency is known."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from benchmarks import residence
from benchmarks.pipeline import COLUMNS, PACKET, WARM_S, PipelineSettings, Run, Take
from benchmarks.residence import STAGES
from streaming.contract import Outgoing, OutgoingSound, Stamps
from tests.unit.test_matching import babble

SETTINGS = PipelineSettings(Path("none.mien"), seconds=6.0)
FRAME = 1920
PERIOD = 0.040
HELD_S = 0.050  # between the end of a frame's sound and its tick


def played(hold_up_s: dict[int, float] | None = None, repeated: tuple[int, ...] = (), lost: tuple[int, ...] = ()) -> Run:
    """A session that takes each frame's sound `HELD_S` after it is complete, draws 8 ms, colours 1 ms, encodes 3 ms."""
    hold_up_s = hold_up_s or {}
    take = Take(babble(4.0), SETTINGS)
    packets = round((WARM_S + SETTINGS.seconds) * 48_000 / PACKET)
    take.pushed[:packets] = 100 + (np.arange(packets) + 1) * PACKET / 48_000
    source = take.source()
    for index in range(round((WARM_S + SETTINGS.seconds) / PERIOD) - 2):
        due = 100 + (index + 1) * PERIOD + HELD_S
        drawn = due + 0.003 + 0.008 + hold_up_s.get(index, 0.0)
        fresh = index not in repeated
        sound = np.rint(source[index * FRAME : (index + 1) * FRAME] * 32767).astype(np.int16)
        stamps = Stamps(due, due - HELD_S, due + 0.001, due + 0.003, due + 0.003, drawn, drawn + 0.001)
        if index not in lost:
            take.hear(OutgoingSound(index * FRAME, sound, 0, due))
            take.see(Outgoing(index, np.zeros((12, 8), np.uint8), fresh, stamps), drawn + 0.002)
            take.frames[index, COLUMNS.index("encoded")] = drawn + 0.004 if fresh else np.nan
    return Run(SETTINGS, [take], began=100 + WARM_S, ended=100 + WARM_S + SETTINGS.seconds - 0.2)


def journeys(run: Run, lead_ms: float = 0.0) -> residence.Journeys:
    take = run.takes[0]
    return residence.journeys(take, residence.frames_of(take, run), SETTINGS, run.began, lead_ms)


def test_a_random_sample_waits_for_its_frame_and_its_packet() -> None:
    found = journeys(played())
    # T1 is its packet's end: 10 ms after the sample on average, 20 ms before the end of its frame
    expected = 1000 * (HELD_S + 0.003 + 0.008 + 0.001 + 0.003) + 20 - 10
    assert np.isfinite(found.whole).mean() > 0.95
    assert np.nanmedian(found.whole) == pytest.approx(expected, abs=11)
    assert np.nanmean(found.whole) == pytest.approx(expected, abs=1.5)


def test_the_stages_add_up_to_the_whole_less_the_look_ahead() -> None:
    found = journeys(played(), lead_ms=20.0)
    total = sum(found.stages[name] for name in STAGES)
    np.testing.assert_allclose(total, found.whole - 20.0, atol=1e-6)


def test_the_sound_of_a_repeated_picture_is_seen_with_the_next_one() -> None:
    run = played(repeated=(120,))
    take = run.takes[0]
    frames = residence.frames_of(take, run)
    found = journeys(run).whole.reshape(len(frames), -1)
    row = 120 - frames.first
    assert np.nanmean(found[row]) - np.nanmean(found[row + 2]) == pytest.approx(40, abs=8)


def test_a_tick_is_missed_in_one_way_only() -> None:
    run = played(hold_up_s={150: 0.05}, repeated=(151, 160), lost=(170,))
    frames = residence.frames_of(run.takes[0], run)
    found = residence.deadlines(frames, PERIOD)
    assert (found.late, found.repeated, found.dropped) == (1, 2, 1)
    assert found.misses == 4
    assert found.ticks == len(frames)


@pytest.mark.parametrize("stalled", [(74, 99, 124, 149, 174, 199), (99, 124), (100, 125)])
def test_a_stall_is_seen_in_exactly_its_frames(stalled: tuple[int, ...]) -> None:
    run = played(hold_up_s=dict.fromkeys(stalled, 0.05))
    found = residence.stalled(residence.frames_of(run.takes[0], run), 50.0, 25)
    assert found.shown == stalled
    assert found.exact == (stalled == (74, 99, 124, 149, 174, 199))


def test_a_stall_so_long_that_pictures_are_repeated_is_one_stall() -> None:
    run = played(hold_up_s={76: 0.05, 99: 0.09}, repeated=(100, 149, 150, 151))
    found = residence.stalled(residence.frames_of(run.takes[0], run), 90.0, 25)
    assert found.shown == (76, 99, 149)


def test_sessions_count_together() -> None:
    one = residence.Deadlines(100, 1, 2, 3)
    assert residence.total([one, dataclasses.replace(one, ticks=50)]) == residence.Deadlines(150, 2, 4, 6)
