"""What a driven mouth is judged by, on mouths whose marks are known."""

import numpy as np
import pytest

from training.evaluate import metrics

RNG = np.random.default_rng(3)


def speech(steps: int = 400) -> np.ndarray:
    """A gap that opens and closes a few times a second."""
    t = np.arange(steps) / 50
    return np.maximum(0.1 * np.sin(2 * np.pi * 3.1 * t) + 0.06 * np.sin(2 * np.pi * 1.7 * t + 1), 0)


def test_correlation_knows_no_scale_and_a_still_driver_gets_nothing() -> None:
    real = speech()
    assert metrics.correlation(3 * real + 0.2, real) == pytest.approx(1)
    assert metrics.correlation(-real, real) == pytest.approx(-1)
    assert metrics.correlation(np.zeros_like(real), real) == 0
    assert np.isnan(metrics.correlation(real, np.zeros_like(real)))


@pytest.mark.parametrize("late_ms", [-60, -30, 0, 10, 47, 100])
def test_a_late_mouth_has_a_lag_of_as_much(late_ms: float) -> None:
    fine = np.interp(np.arange(600) - late_ms / 20, np.arange(600), speech(600))
    found = metrics.best_lag_ms(metrics.correlation_by_lag(fine[100:500], speech(600)[100:500]))
    assert found == pytest.approx(late_ms, abs=4)


def test_no_lag_without_any_correlation() -> None:
    assert np.isnan(metrics.best_lag_ms(metrics.correlation_by_lag(np.zeros(300), speech(300))))


def test_the_mouths_place_does_not_count_but_its_shape_does() -> None:
    lips = RNG.standard_normal((5, 40, 2))
    assert metrics.mouth_distance(lips + np.array([3, -1]), lips) == pytest.approx(0, abs=1e-12)
    wide = lips * (1.1, 1)
    centred = lips - lips.mean(1, keepdims=True)
    assert metrics.mouth_distance(wide, lips) == pytest.approx(0.1 * np.abs(centred[..., 0]).mean())


def test_a_closure_counts_within_40_ms_of_its_phone() -> None:
    gap = np.full(100, 0.1)
    gap[50] = 0  # 1.00 s
    assert metrics.closures(gap, [(0.90, 0.97), (0.80, 0.93), (1.03, 1.10)]) == (2, 3)


def test_a_vowel_is_closed_only_in_its_middle_half() -> None:
    gap = np.full(100, 0.1)
    gap[50] = 0
    assert metrics.false_closures(gap, [(1.0, 1.2), (0.9, 1.1)]) == (1, 2)


def test_pauses_want_lips_both_closed_and_still() -> None:
    gap = np.zeros(200)
    assert metrics.stillness(gap, [(1.0, 3.0), (0.0, 0.4)]) == (88, 88, 88)
    gap[100:103] = 0.01  # closed, but it moves
    good, shut, count = metrics.stillness(gap, [(1.0, 3.0)])
    assert (shut, count) == (88, 88)
    assert good == 86
    gap[100:120] = 0.05
    assert metrics.stillness(gap, [(1.0, 3.0)])[1] == 68


def test_jitter_looks_only_where_the_real_mouth_stands_still() -> None:
    talking = 0.1 + 0.08 * np.sin(2 * np.pi * 3 * np.arange(200) / 50)
    real = np.concatenate([talking, np.full(200, 0.1)])
    where = metrics.still_steps(real)
    assert not where[:190].any()
    assert where[215:390].all()
    shaken = np.where(np.arange(400) < 190, real + RNG.normal(0, 0.01, 400), real)
    assert metrics.jitter(shaken, where)[0] == pytest.approx(metrics.jitter(real, where)[0])
    shaken[300] += 0.01
    total, count = metrics.jitter(shaken, where)
    assert total == pytest.approx(6e-4, rel=1e-6)
    assert count == where[1:-1].sum()
