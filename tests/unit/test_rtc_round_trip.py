import pytest

from streaming.rtc.round_trip import REMEMBERED_S, RoundTrip


def test_what_is_beyond_the_shortest_waits_somewhere():
    trip = RoundTrip()
    for at, seconds in enumerate((0.05, 0.04, 0.3)):
        trip.add(seconds, float(at))
    assert trip.queued_s == pytest.approx(0.26)
    assert trip.smoothed_s == pytest.approx(0.0984)


def test_a_route_that_became_longer_is_no_queue_for_ever():
    trip = RoundTrip()
    trip.add(0.02, 0.0)
    for second in range(1, int(2 * REMEMBERED_S) + 3):
        trip.add(0.2, float(second))
    assert trip.queued_s == 0
