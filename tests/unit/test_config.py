import dataclasses
from pathlib import Path

import pytest

from streaming.config import Refused, ServerConfig, is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_loopback_needs_nothing(host: str) -> None:
    assert is_loopback(host)
    assert ServerConfig(host=host).scheme == "http"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "example.org"])
def test_anything_else_refuses_without_token_and_certificate(host: str) -> None:
    with pytest.raises(Refused) as refused:
        ServerConfig(host=host)
    line = str(refused.value)
    assert "--token" in line
    assert "openssl req" in line
    assert "\n" not in line
    with pytest.raises(Refused):
        ServerConfig(host=host, token="a" * 32)
    with pytest.raises(Refused):
        ServerConfig(host=host, certificate=Path("c"), key=Path("k"))
    assert ServerConfig(host=host, token="a" * 32, certificate=Path("c"), key=Path("k")).scheme == "https"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"size": 500}, "--size"),
        ({"fps": 24}, "--fps"),
        ({"port": 70_000}, "--port"),
        ({"token": "short"}, "openssl rand"),
        ({"certificate": Path("c")}, "--key"),
        ({"hosts": frozenset({"face.example.org"})}, "--token"),
        ({"hosts": frozenset({"https://face.example.org"})}, "--allow-host"),
        ({"hosts": frozenset({"a b"})}, "--allow-host"),
        ({"origins": frozenset({"studio.example.org"})}, "--allow-origin"),
        ({"origins": frozenset({"https://studio.example.org/page"})}, "--allow-origin"),
        ({"origins": frozenset({"https://*"})}, "--allow-origin"),
        ({"origins": frozenset({"null"})}, "--allow-origin"),
        ({"admission_key": "short"}, "openssl rand"),
        ({"sessions_per_client": 0}, "--sessions-per-client"),
        ({"drain_s": -1.0}, "--drain-s"),
        ({"drain_s": float("nan")}, "--drain-s"),
    ],
)
def test_each_bad_option_is_refused_in_one_line(changes: dict[str, object], word: str) -> None:
    with pytest.raises(Refused) as refused:
        dataclasses.replace(ServerConfig(), **changes)  # pyright: ignore[reportArgumentType]
    assert word in str(refused.value)
    assert "\n" not in str(refused.value)


def test_names_and_origins_may_be_added() -> None:
    hosts = frozenset({"face.example.org", "*.faces.example.org", "my-laptop"})
    origins = frozenset({"https://studio.example.org", "http://localhost:3000", "https://127.0.0.1:8443"})
    config = ServerConfig(hosts=hosts, origins=origins, token="a" * 32, admission_key="k" * 32, drain_s=0)
    assert (config.hosts, config.origins) == (hosts, origins)
    ServerConfig(hosts=frozenset({"localhost"}))  # nobody else is called that
