from pathlib import Path

import pytest

from streaming import server
from streaming.config import Refused, ServerConfig

TOKEN = "0123456789abcdef"


def test_a_port_in_use_is_refused_and_a_free_one_named() -> None:
    with server.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Refused, match=rf"port {port} is in use.*--port \d+"):
            server.listen("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(Refused, match=r"192\.0\.2\.1"):
        server.listen("192.0.2.1", 0)


def test_the_printed_address_can_be_typed_and_carries_the_token() -> None:
    assert server.address(ServerConfig(), 8700) == "http://localhost:8700/"
    assert server.address(ServerConfig(host="::1"), 80) == "http://[::1]:80/"
    guarded = ServerConfig(host="10.0.0.1", token=TOKEN, certificate=Path("c"), key=Path("k"))
    assert server.address(guarded, 443) == f"https://10.0.0.1:443/?token={TOKEN}"


def test_an_unknown_face_is_refused_and_the_known_are_named() -> None:
    with pytest.raises(Refused, match=r"nobody.*amara"):
        server.real_parts(ServerConfig(portrait="nobody"))


def test_without_own_sources_there_are_none() -> None:
    assert server.own_sources(ServerConfig()) == {}
