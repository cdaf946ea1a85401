import numpy as np
import pytest

from streaming.worker.splice import FADE, FADED, LONGEST, SHORTEST, Continuation, alike, cross_fade, fade_in


def voice(hz: float, count: int) -> np.ndarray:
    t = np.arange(count) / 48_000
    return (0.5 * np.sin(2 * np.pi * hz * t) + 0.2 * np.sin(4 * np.pi * hz * t + 1)).astype(np.float32)


def test_a_cross_fade_begins_with_the_old_and_ends_with_the_new() -> None:
    mixed = cross_fade(np.full(400, 1, np.float32), np.full(400, -1, np.float32))
    assert mixed[0] == pytest.approx(1, abs=0.01)
    assert (mixed[FADE:] == -1).all()
    assert (np.diff(mixed) <= 0).all()


def test_a_fade_in_rises_from_silence() -> None:
    risen = fade_in(np.ones(500, np.float32))
    assert risen[0] < 0.01
    assert (risen[FADE:] == 1).all()


@pytest.mark.parametrize("hz", [80, 120, 220, 380])
def test_the_period_of_a_voice_is_found(hz: float) -> None:
    sound = voice(hz, 4000)
    offset = alike(sound[:FADE], sound[SHORTEST : LONGEST + FADE])
    periods = (offset + SHORTEST) / (48_000 / hz)
    assert periods == pytest.approx(round(periods), abs=0.03)
    assert round(periods) >= 1


@pytest.mark.parametrize("hz", [80, 120, 220, 380])
def test_a_gap_is_filled_without_a_click_and_fades_to_silence(hz: float) -> None:
    past = voice(hz, 4000)
    gap = Continuation(past)
    filled = np.concatenate([gap.next(n) for n in (100, 860, 960, 960, 960)])
    steepest = np.abs(np.diff(past)).max()
    assert np.abs(np.diff(np.concatenate((past, filled)))).max() < 1.5 * steepest
    assert np.abs(filled[:960]).max() > 0.5 * np.abs(past).max()
    assert gap.silent
    assert (filled[FADED:] == 0).all()


def test_silence_goes_on_as_silence() -> None:
    assert not Continuation(np.zeros(4000, np.float32)).next(960).any()
