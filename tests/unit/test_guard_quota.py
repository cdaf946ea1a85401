import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.guard import quota
from streaming.guard.quota import Bucket, Quota, Rate, client_of


def test_a_burst_and_then_at_the_rate() -> None:
    bucket = Bucket(Rate(3, 2.0), at=0)
    assert [bucket.take(at=0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert bucket.take(at=0.4) == pytest.approx(0.1)
    assert bucket.take(at=0.5) == 0
    assert bucket.take(at=0.5) == pytest.approx(0.5)
    assert [bucket.take(at=100) for _ in range(4)] == [0, 0, 0, 0.5]  # no more than the burst is saved


def test_looking_takes_nothing() -> None:
    bucket = Bucket(Rate(1, 1), at=0)
    assert [bucket.wait_s(at=0) for _ in range(3)] == [0, 0, 0]
    assert bucket.take(at=0) == 0
    assert bucket.wait_s(at=0) == 1


def test_clients_are_counted_apart_and_forgotten_when_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "CLIENTS_AT_MOST", 2)
    mine = Quota(Rate(1, 0.001))
    assert mine.take("a", at=0) == 0
    assert mine.take("a", at=0) > 0
    assert mine.take("b", at=0) == 0
    assert mine.take("a", at=0) > 0  # seen again: "b" is the one that has been silent longest
    assert mine.take("c", at=0) == 0
    assert mine.take("b", at=0) == 0
    assert len(mine._buckets) == 2


@pytest.mark.parametrize(
    ("remote", "client"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        (None, ""),
        ("somewhere", ""),
    ],
)
def test_an_address_counts_as_its_network(remote: str | None, client: str) -> None:
    assert client_of(remote) == client


@given(st.lists(st.floats(0, 5), max_size=60), st.integers(1, 5), st.floats(0.1, 10))
def test_no_more_pass_than_the_rate_allows(steps: list[float], burst: int, per_s: float) -> None:
    bucket, at, passed = Bucket(Rate(burst, per_s), at=0.0), 0.0, 0
    for step in steps:
        at += step
        passed += bucket.take(at=at) == 0
    assert passed <= burst + at * per_s + 1e-6
