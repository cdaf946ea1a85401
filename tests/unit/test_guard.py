import pytest

from streaming.guard import Guard

GUARD = Guard()


@pytest.mark.parametrize("host", ["localhost", "localhost:8700", "127.0.0.1:9", "[::1]:8700", "LocalHost.:80"])
def test_the_own_names_are_known(host: str) -> None:
    assert GUARD.knows_host(host)


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
    ],
)
def test_rebound_and_malformed_names_are_not(host: str | None) -> None:
    assert not GUARD.knows_host(host)


def test_a_server_that_others_reach_is_known_by_address_and_by_its_certificate() -> None:
    guard = Guard(names=frozenset({"box.example.org", "*.faces.example.org"}), addresses=True)
    assert guard.knows_host("10.0.0.1:8700")
    assert guard.knows_host("[2001:db8::1]")
    assert guard.knows_host("box.example.org")
    assert guard.knows_host("a.faces.example.org")
    assert not guard.knows_host("a.b.faces.example.org")
    assert not guard.knows_host("evil.example.org")


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
    assert GUARD.knows_origin(origin, host, site) is known
