from ipaddress import ip_network

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from streaming.config import ServerConfig
from streaming.guard import gate
from streaming.guard.proxies import Proxies
from streaming.guard.quota import ADMISSIONS
from tests.unit.served import TOKEN, House

OURS = Proxies((ip_network("10.0.0.0/8"), ip_network("127.0.0.1"), ip_network("fd00::/8")))


@pytest.mark.parametrize(
    ("remote", "forwarded", "client"),
    [
        ("127.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["1.1.1.1, 198.51.100.7"], "198.51.100.7"),  # what was there before is what the client says
        ("127.0.0.1", ["198.51.100.7", "10.1.2.3"], "198.51.100.7"),  # through two of ours
        ("::ffff:127.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("fd00::1", ["2001:db8::5"], "2001:db8::5"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.7, somebody"], "127.0.0.1"),
        ("127.0.0.1", ["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        ("198.51.100.9", ["1.1.1.1"], "198.51.100.9"),  # no proxy of ours
        (None, ["1.1.1.1"], None),
    ],
)
def test_the_last_that_is_no_proxy_of_ours_asks(remote: str | None, forwarded: list[str], client: str | None) -> None:
    assert OURS.client(remote, forwarded) == client
    assert Proxies().client(remote, forwarded) == remote


@given(st.lists(st.text(max_size=40), max_size=4))
def test_any_header_is_taken_or_not(forwarded: list[str]) -> None:
    OURS.client("127.0.0.1", forwarded)


async def test_clients_of_a_proxy_have_quotas_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "now", lambda: 1000.0)  # nothing is filled again
    house = House(ServerConfig(token=TOKEN, proxies=(ip_network("127.0.0.0/8"), ip_network("::1"))))

    async def ask(client: str) -> int:
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": f"6.6.6.6, {client}"}
        async with house.client.post("/api/admissions", json={"scopes": ["open"]}, headers=headers) as answer:
            return answer.status

    async with house.client:
        statuses = [await ask("198.51.100.7") for _ in range(ADMISSIONS.burst + 1)]
        assert statuses[-2:] == [web.HTTPCreated.status_code, web.HTTPTooManyRequests.status_code]
        assert await ask("198.51.100.8") == web.HTTPCreated.status_code
