import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.guard import lease
from streaming.guard.lease import KEPT_S, Leases


def test_a_secret_is_one_sessions() -> None:
    leases = Leases()
    first, other = leases.grant("first"), leases.grant("other")
    assert leases.session_of(first, at=0) == "first"
    assert leases.session_of(other, at=0) == "other"
    assert leases.grant("first") == first
    for wrong in ("", "first", "first.", first[:-1], first + "x", other.replace("other", "first"), "x" * 10_000, "\udcff."):
        assert leases.session_of(wrong, at=0) is None


def test_it_is_good_for_a_while_after_its_session_ended_by_itself() -> None:
    leases = Leases()
    secret = leases.grant("s")
    leases.end("s", at=10)
    assert leases.session_of(secret, at=10 + KEPT_S - 1) == "s"
    assert leases.grant("s") == secret  # it came back
    assert leases.is_held("s", at=1e9)
    leases.end("s", at=20)
    assert not leases.is_held("s", at=20 + KEPT_S)
    assert leases.session_of(secret, at=20 + KEPT_S) is None


def test_it_is_good_for_nothing_once_revoked() -> None:
    leases = Leases()
    secret = leases.grant("s")
    leases.revoke("s")
    assert leases.session_of(secret, at=0) is None
    assert leases.grant("s") != secret
    leases.revoke("unknown")
    leases.end("unknown", at=0)
    assert not leases.is_held("unknown", at=0)


def test_ended_ones_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "KEPT_AT_MOST", 3)
    leases = Leases()
    for i in range(10):
        leases.grant(f"s{i}")
        leases.end(f"s{i}", at=i)
    assert [i for i in range(10) if leases.is_held(f"s{i}", at=10)] == [7, 8, 9]


@given(st.text(max_size=100))
def test_any_text_is_a_secret_or_not(text: str) -> None:
    leases = Leases()
    leases.grant("s")
    assert leases.session_of(text, at=0) is None
