"""Who is let in: prices per picture, what there is room for, and machines that behave unlike their idle selves."""

import pytest

from streaming.contract import CapacityReached, SessionSettings
from streaming.worker.admission import MACHINE_SHARE, WORKER_SHARE, Admission, Costs

ONE = SessionSettings("mei", size=512, fps=25)
SMALL = SessionSettings("mei", size=256, fps=25)
FAST = SessionSettings("mei", size=512, fps=50)
SERVING_S = 0.004


def measured(cores: int, drawing_s: float, serving_s: float = SERVING_S) -> Admission:
    """What knows the cost of a 512 px picture."""
    admission = Admission(cores)
    admission.learn(drawing_s * 100, drawing_s * 100, {512: 100})
    admission.encoding.learn(serving_s * 50, {512: 100})
    admission.looping.learn(serving_s * 50, {512: 100})
    return admission


def filled(admission: Admission, wanted: SessionSettings, workers: int) -> list[list[SessionSettings]]:
    """The sessions of workers that were idle, when no more is let in."""
    sessions: list[list[SessionSettings]] = [[] for _ in range(workers)]
    while True:
        try:
            sessions[admission.choose(wanted, sessions)].append(wanted)
        except CapacityReached:
            return sessions


def count(admission: Admission, wanted: SessionSettings, workers: int) -> int:
    return sum(map(len, filled(admission, wanted, workers)))


def test_more_fit_of_what_costs_less() -> None:
    admission = measured(2, 0.008)
    counts = [count(admission, settings, 2) for settings in (FAST, ONE, SMALL)]
    assert counts == sorted(set(counts))
    assert counts[1] >= 4


def test_two_sessions_fit_on_two_cores_before_anything_was_measured() -> None:
    assert count(Admission(2), ONE, 2) == 2


def test_all_that_runs_finds_room() -> None:
    sessions = filled(measured(2, 0.010), ONE, 2)
    assert all(len(worker) * 25 * 0.010 <= WORKER_SHARE for worker in sessions)
    assert sum(map(len, sessions)) * 25 * (0.010 + SERVING_S) <= 2 * MACHINE_SHARE


def test_the_least_loaded_worker_is_chosen() -> None:
    assert measured(8, 0.008).choose(ONE, [[ONE, SMALL], [SMALL], [ONE]]) == 1


def test_an_idle_machine_takes_one_slow_session() -> None:
    admission = measured(2, 0.15)
    assert count(admission, ONE, 2) == 1
    assert admission.choose(ONE, [None, []]) == 1
    with pytest.raises(CapacityReached, match="beside the 1 running: all cores are busy"):
        admission.choose(ONE, [[], [ONE]])


def test_a_face_so_slow_that_its_sound_would_suffer_is_refused() -> None:
    with pytest.raises(CapacityReached, match="300 ms a picture is too slow for a session of 512 px at 25 fps"):
        measured(2, 0.3).choose(ONE, [[], []])


def test_a_slow_face_is_judged_by_its_warm_up_and_little_more() -> None:
    admission = Admission(2)
    admission.warm(512, 0.17)
    assert admission.choose(ONE, [[], []]) == 0
    admission.warm(512, 0.20)
    with pytest.raises(CapacityReached, match="too slow"):
        admission.choose(ONE, [[], []])


def test_a_worker_that_takes_nobody_is_passed_over() -> None:
    admission = measured(8, 0.008)
    assert admission.choose(SMALL, [None, [ONE]]) == 1
    for workers in ([None, [ONE, ONE, ONE]], [None, None]):
        with pytest.raises(CapacityReached, match="all workers are busy"):
            admission.choose(ONE, workers)


def test_one_event_loop_serves_no_more_than_it_can() -> None:
    admission = measured(64, 0.008)
    with pytest.raises(CapacityReached, match="the event loop is busy"):
        admission.choose(ONE, [[ONE], *[[ONE] for _ in range(20)]])


def test_a_gpu_has_so_much_time_and_memory() -> None:
    admission = measured(64, 0.001, serving_s=1e-5)
    workers = [[ONE] for _ in range(40)]
    assert admission.choose(ONE, workers) == 0
    admission.device.learn(0.1, {512: 100})
    with pytest.raises(CapacityReached, match="the GPU's time is taken"):
        admission.choose(ONE, workers)
    admission.device_full = "the GPU's memory is full"
    with pytest.raises(CapacityReached, match=r"^no room for one more .* beside the 1 running: the GPU's memory is full$"):
        admission.choose(ONE, [[ONE]])
    assert admission.choose(ONE, [[]]) == 0, "nobody is there who could make room; it may have been others"


def test_pictures_in_larger_batches_cost_less_of_a_gpu_and_more_fit() -> None:
    few, many = measured(64, 0.001, serving_s=1e-5), measured(64, 0.001, serving_s=1e-5)
    few.device.learn(2.0, {512: 1000})
    many.device.learn(0.4, {512: 1000})
    assert count(few, ONE, 64) in (16, 17)
    assert count(many, ONE, 64) in (84, 85)


def test_a_core_that_has_to_be_waited_for_is_not_a_whole_one() -> None:
    free, contended = measured(4, 0.008), measured(4, 0.008)
    for _ in range(20):
        contended.learn(0.8, 1.6, {512: 100})
    assert count(contended, ONE, 4) < count(free, ONE, 4)


def test_what_was_cheap_on_an_idle_machine_counts_as_it_did_when_all_cores_were_busy() -> None:
    admission = Admission(8)
    admission.warm(512, 0.010)
    admission.encoding.learn(0.2, {512: 100})
    admission.looping.learn(0.2, {512: 100})
    before = count(admission, ONE, 8)
    admission.learn(0.9, 0.9, {512: 100})  # while one ran
    assert count(admission, ONE, 8) <= before + 4


@pytest.mark.parametrize(("cores", "slower"), [(2, 0.0), (8, 0.0), (8, 0.6), (32, 0.6)])
def test_never_more_than_fit_where_cores_slow_each_other_down(cores: int, slower: float) -> None:
    """Hyperthreads: a picture costs up to so much more as the machine fills up; each session is measured before the next."""
    admission = Admission(cores)
    drawing_s, serving_s = 0.008, 0.0005
    admission.warm(512, drawing_s * (1 + slower) / 1.5)
    workers: list[list[SessionSettings]] = [[] for _ in range(cores)]

    def load(sessions: int) -> tuple[float, float]:
        """Of all cores, and by how much a picture is dearer for it."""
        used = 0.0
        for _ in range(50):
            used = sessions * 25 * (drawing_s + serving_s) * (1 + slower * min(1.0, used / cores))
        return used / cores, 1 + slower * min(1.0, used / cores)

    while True:
        try:
            workers[admission.choose(ONE, workers)].append(ONE)
        except CapacityReached:
            break
        running = sum(map(len, workers))
        used, dearer = load(running)
        assert used <= 1, f"{running} sessions need {used:.0%} of the machine"
        for _ in range(5):
            spent_s = 25 * drawing_s * dearer
            admission.learn(spent_s, spent_s, {512: 25})
            admission.encoding.learn(25 * serving_s / 2 * dearer, {512: 25})
            admission.looping.learn(25 * serving_s / 2, {512: 25})
    assert sum(map(len, workers)) >= 2 * cores, "and no fewer than most of what fits"


def test_an_unknown_size_is_judged_by_the_nearest_known_one() -> None:
    costs = Costs(0.016)
    assert costs.of(512) == 0.016
    costs.learn(0.8, {512: 100})
    assert costs.of(768) == pytest.approx(0.018)
    assert costs.of(256) == pytest.approx(0.005), "half of it may not depend on the size"
    costs.learn(0.4, {256: 100})
    assert costs.of(256) == pytest.approx(0.004)


def test_of_several_sizes_each_is_as_much_dearer_as_all_together() -> None:
    costs = Costs()
    costs.learn(0.8, {512: 100})
    costs.learn(0.2, {256: 100})
    for _ in range(30):
        costs.learn(2.0, {512: 100, 256: 100})
    assert costs.of(512) == pytest.approx(0.016, rel=0.01)
    assert costs.of(256) == pytest.approx(0.004, rel=0.01)


def test_one_reading_does_not_overturn_what_is_known() -> None:
    costs = Costs()
    costs.learn(1.0, {512: 100})
    costs.learn(10.0, {512: 100})
    assert 0.010 < costs.of(512) < 0.05
    costs.learn(0.0, {512: 100})
    costs.learn(1.0, {})
    assert 0.010 < costs.of(512) < 0.05


def test_a_first_window_that_holds_the_beginning_closes_no_door():
    admission = Admission(2)
    admission.warm(512, 0.007)
    admission.learn(0.8, 0.8, {512: 20})  # 40 ms a picture: connections, files, caches
    assert admission.choose(ONE, [[ONE], []]) == 1
    for _ in range(10):
        admission.learn(1.0, 1.0, {512: 25})
    with pytest.raises(CapacityReached):
        admission.choose(ONE, [[ONE], []])
