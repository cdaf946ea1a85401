import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.guard.hosts import Hosts

HOSTS = Hosts()


@pytest.mark.parametrize("host", ["localhost", "localhost:8700", "127.0.0.1:9", "[::1]:8700", "LocalHost.:80"])
def test_the_own_names_are_known(host: str) -> None:
    assert HOSTS.knows(host)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "evil@localhost",
        "localhost:x",
        "10.0.0.1",
        "a b",
        "löcalhost",
    ],
)
def test_rebound_and_malformed_names_are_not(host: str | None) -> None:
    assert not HOSTS.knows(host)


def test_a_server_that_others_reach_is_known_by_address_and_by_its_certificate() -> None:
    hosts = Hosts(names=frozenset({"box.example.org", "*.faces.example.org"}), addresses=True)
    assert hosts.knows("10.0.0.1:8700")
    assert hosts.knows("[2001:db8::1]")
    assert hosts.knows("box.example.org")
    assert hosts.knows("a.faces.example.org")
    assert not hosts.knows("a.b.faces.example.org")
    assert not hosts.knows("evil.example.org")


@pytest.mark.parametrize(
    ("origin", "host", "site", "known"),
    [
        ("http://localhost:8700", "localhost:8700", "same-origin", True),
        ("https://box.example.org", "box.example.org", "same-origin", True),
        ("https://box.example.org", "box.example.org:443", None, True),
        (None, "localhost:8700", None, True),  # a WHIP client that is no browser
        (None, "localhost:8700", "cross-site", False),
        ("null", "localhost:8700", None, False),
        ("http://evil.example", "localhost:8700", None, False),
        ("http://localhost:9999", "localhost:8700", "same-site", False),
        ("http://localhost:9999", "localhost:8700", None, False),
        ("http://127.0.0.1:8700", "localhost:8700", None, False),
        ("http://localhost:port", "localhost:8700", None, False),
    ],
)
def test_only_the_own_page_may_change_things(origin: str | None, host: str, site: str | None, *, known: bool) -> None:
    assert HOSTS.is_own(origin, host, site) is known


def test_another_page_may_if_the_operator_says_so() -> None:
    hosts = Hosts(origins=frozenset({"https://studio.example.org"}))
    assert hosts.is_allowed("https://studio.example.org")
    assert hosts.is_allowed("https://Studio.example.org")
    for stranger in (None, "null", "http://studio.example.org", "https://studio.example.org.evil.example"):
        assert not hosts.is_allowed(stranger)


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_header_is_known_or_not(host: str, origin: str) -> None:
    assert HOSTS.knows(host) in (True, False)
    assert HOSTS.is_own(origin, host, None) in (True, False)
