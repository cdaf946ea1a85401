"""Latencies from what a page noted, when they are known."""

import numpy as np
import pytest

from benchmarks.browser_figures import Seen, figures, matched, skew, spoken_to_shown
from benchmarks.clock import BITS, TICK
from benchmarks.metrics import Distribution

FRAME = 1920


def seen(m2s_ms: float = 180.0, skew_ms: float = -30.0, drop: tuple[int, ...] = ()) -> Seen:
    """Sixty seconds: a click every 1.3 s, its picture `m2s_ms` later, its sound `skew_ms` before the picture."""
    said = 2000 + 1300.0 * np.arange(45)
    clicks = (said * 48).astype(np.int64)  # the media clock says 0 when the page's says 0
    frames = []
    for index in range(1500):
        if index in drop:
            continue
        shown = index * 40 + m2s_ms  # displayed when its sound begins plus the latency
        past = clicks[clicks < (index + 1) * FRAME]
        click = int(past[-1]) if len(past) else 0
        painted = int((shown - 60 + 1e12) * 3) % (1 << BITS)
        frames.append(
            (shown, (index * FRAME + FRAME // 2) // TICK, click // TICK, painted, shown - 25, 3.0, index * 3600, shown - 5)
        )
    audio = {"concealedSamples": 480, "totalSamplesReceived": 48_000, "jitterBufferDelay": 60, "jitterBufferEmittedCount": 1000}
    return Seen(
        said=said.astype(np.float64),
        heard=(said + m2s_ms - skew_ms).astype(np.float64),
        frames=np.array(frames, np.float64),
        origin=1e12,
        began=5000.0,
        ended=55_000.0,
        before={"audio": dict.fromkeys(audio, 0)},
        stats={"audio": audio},
        server={},
    )


def distribution(page: Seen, name: str) -> Distribution:
    found = figures(page, 25)[name]
    assert isinstance(found, Distribution)
    return found


def test_mouth_to_screen_is_from_the_click_to_the_picture_that_depicts_it() -> None:
    found = distribution(seen(180.0), "m2s_ms")
    assert found.p50 == pytest.approx(180 - 20, abs=21)  # the picture comes up to a frame before the click in it
    assert found.n == 38


def test_skew_is_positive_when_the_sound_is_early() -> None:
    for wanted in (-30.0, 25.0):
        page = seen(200.0, wanted)
        at, apart = skew(page, matched(page, 25), 25)
        assert len(at) > 1000
        assert np.median(apart) == pytest.approx(wanted, abs=0.5)


def test_the_way_of_every_picture_is_known_by_the_clicks_around_it() -> None:
    page = seen(180.0)
    at, took = spoken_to_shown(page, matched(page, 25), 25)
    assert len(at) > 1000
    assert np.median(took) == pytest.approx(180, abs=1)
    assert figures(page, 25)["m2s_p99_last_over_first"] == pytest.approx(1.0, abs=0.01)
    assert figures(page, 25)["m2s_drift_ms"] == pytest.approx(0.0, abs=0.5)


def test_a_lost_picture_counts_as_the_later_one() -> None:
    whole = distribution(seen(), "m2s_ms")
    torn = distribution(seen(drop=tuple(range(400, 1500, 3))), "m2s_ms")
    assert torn.n == whole.n
    assert torn.max > whole.max


def test_what_getstats_counts_is_the_difference_over_the_run() -> None:
    found = figures(seen(), 25)
    assert found["concealed_ratio"] == pytest.approx(0.01)
    assert found["jitter_buffer_audio_ms"] == pytest.approx(60.0)
    assert found["freeze_count"] is None
    assert found["freezes_recomputed"] == 0


def test_the_age_of_a_picture_survives_the_wrap_of_its_clock() -> None:
    assert distribution(seen(), "render_to_screen_ms").p50 == pytest.approx(60, abs=1)


def test_the_way_to_the_screen_splits_at_the_receiver() -> None:
    assert distribution(seen(), "display_delay_ms").p50 == pytest.approx(25)
    assert distribution(seen(), "render_to_receiver_ms").p50 == pytest.approx(35, abs=1)


def test_a_page_that_heard_nothing_has_no_skew() -> None:
    page = seen()
    deaf = Seen(page.said, np.zeros(0), page.frames, page.origin, page.began, page.ended, {}, {}, {})
    assert figures(deaf, 25)["av_skew_ms"] is None


def test_a_session_that_was_opened_anew_has_no_skew() -> None:
    page = seen()
    page.frames[700:, 1] -= page.frames[700, 1]
    assert figures(page, 25)["av_skew_ms"] is None
    assert distribution(page, "frame_interval_ms").n > 1000
