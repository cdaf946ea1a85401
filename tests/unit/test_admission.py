import pytest

from streaming.contract import SessionSettings
from streaming.worker.admission import Admission

ONE = SessionSettings("mei", size=512, fps=25)
SMALL = SessionSettings("mei", size=256, fps=25)
FAST = SessionSettings("mei", size=512, fps=50)


def filled(admission: Admission, settings: SessionSettings, workers: int) -> int:
    """Sessions that fit on idle workers."""
    running: list[SessionSettings] = []
    shares = [0.0] * workers
    while (chosen := admission.choose(settings, shares, running)) >= 0:
        shares[chosen] += admission.share(settings)
        running.append(settings)
    return len(running)


def test_more_fit_of_what_costs_less() -> None:
    admission = Admission(2)
    admission.learn(512, 0.008)
    counts = [filled(admission, settings, 2) for settings in (FAST, ONE, SMALL)]
    assert counts == sorted(counts)
    assert counts[0] < counts[1] < counts[2]
    assert counts[1] >= 4


def test_two_sessions_fit_on_two_cores_before_anything_was_measured() -> None:
    assert filled(Admission(2), ONE, 2) >= 2


def test_the_least_loaded_worker_is_chosen() -> None:
    assert Admission(8).choose(ONE, [0.3, 0.1, 0.2], []) == 1


def test_an_idle_machine_takes_one_slow_session() -> None:
    admission = Admission(2)
    admission.learn(512, 0.15)
    assert filled(admission, ONE, 2) == 1
    assert admission.choose(ONE, [None, 0.0], []) == 1
    assert admission.choose(ONE, [None, 0.0], [SMALL]) == -1


def test_a_face_so_slow_that_its_sound_would_suffer_is_refused() -> None:
    admission = Admission(2)
    admission.learn(512, 0.3)
    assert filled(admission, ONE, 2) == 0


def test_a_worker_that_takes_nobody_is_passed_over() -> None:
    assert Admission(8).choose(ONE, [None, 0.5], []) == -1
    assert Admission(8).choose(SMALL, [None, 0.5], []) == 1
    assert Admission(8).choose(SMALL, [None, None], []) == -1


def test_the_event_loops_share_counts() -> None:
    admission = Admission(1)
    admission.learn(512, 0.008)
    assert admission.choose(ONE, [0.0], [ONE] * 10) == -1


def test_an_unknown_size_is_judged_by_the_nearest_known_one() -> None:
    admission = Admission(2)
    admission.learn(512, 0.008)
    assert admission.share(SMALL) == pytest.approx(0.002 * 25)
    admission.learn(256, 0.004)
    assert admission.share(SMALL) == pytest.approx(0.004 * 25)


def test_a_sessions_own_cost_goes_before_that_of_its_like() -> None:
    assert Admission(2).share(ONE, 0.02) == pytest.approx(0.5)
