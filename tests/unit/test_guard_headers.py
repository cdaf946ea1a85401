import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from streaming.guard.headers import add_headers
from tests.unit.served import House


def added(host: str = "localhost:8700", *, tls: bool = False, said: dict[str, str] | None = None) -> dict[str, str]:
    """The headers of a response that says `said` itself."""
    response = web.Response(headers=said)
    request = make_mocked_request("GET", "/", {"Host": host}, sslcontext=object() if tls else None)  # pyright: ignore[reportArgumentType]
    add_headers(request, response)
    return dict(response.headers)


def test_nothing_is_loaded_from_elsewhere_or_run_inline() -> None:
    policy = added()["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "connect-src 'self' ws://localhost:8700 wss://localhost:8700;" in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("host", ["", "evil;script-src *", "a b", "x'unsafe-inline'", "é"])
def test_a_host_gets_into_the_policy_only_as_a_host(host: str) -> None:
    assert "ws:" not in added(host)["Content-Security-Policy"]


def test_what_the_page_needs_is_allowed_and_nothing_else() -> None:
    permissions = added()["Permissions-Policy"]
    assert "microphone=(self), camera=(self)" in permissions
    assert "geolocation=()" in permissions


def test_tls_stays_tls() -> None:
    assert "Strict-Transport-Security" not in added()
    assert added(tls=True)["Strict-Transport-Security"] == "max-age=31536000"


def test_what_a_response_says_itself_stays() -> None:
    assert added(said={"Cache-Control": "no-store"})["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/nothing", "/static/app.js", "/api/portraits", "/livez"])
async def test_no_response_goes_without(path: str) -> None:
    house = House()
    async with house.client as client:
        answer = await client.get(path)
        assert {"Content-Security-Policy", "Permissions-Policy", "X-Content-Type-Options"} <= set(answer.headers)
        assert "Server" not in answer.headers
