import pytest

from engine.latency import ENGINE_BUDGET, STAGES, LatencyBudget, StageTimes


def test_parts_add_up_to_the_total_or_it_cannot_be_built() -> None:
    LatencyBudget(60, {"audio_hold": 20, "inference": 40})
    with pytest.raises(ValueError, match="add up to 50 ms, the total says 60 ms"):
        LatencyBudget(60, {"audio_hold": 20, "inference": 30})


@pytest.mark.parametrize("total", [0, -1, float("nan")])
def test_a_budget_is_positive(total: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        LatencyBudget(total, {"inference": total})


def test_negative_parts_are_refused() -> None:
    with pytest.raises(ValueError, match="'encode' has a negative budget"):
        LatencyBudget(10, {"encode": -5, "send": 15})


def test_the_engines_budget_covers_every_stage() -> None:
    assert set(ENGINE_BUDGET.parts_ms) == set(STAGES)


def test_over_names_the_stages_that_took_too_long() -> None:
    budget = LatencyBudget(30, {"inference": 10, "encode": 20})
    assert budget.over({"inference": 12, "encode": 20, "other": 99}) == {"inference": 2}


def test_stage_times_keep_a_bounded_window() -> None:
    times = StageTimes(room=100)
    for k in range(1000):
        times.add("encode", float(k))
    summary = times.summary()["encode"]
    assert summary["n"] == 1000
    assert summary["max"] == 999
    assert 900 <= summary["p50"] <= 999
    assert "inference" not in times.summary()
