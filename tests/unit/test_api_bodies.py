"""Bodies of strangers: whatever comes is a value or one of the errors that are told in a line, and never over the limits."""

import asyncio
import contextlib
import json
from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import make_mocked_request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from streaming.api import bodies
from streaming.api.bodies import FIELD_LIMIT, FORM_LIMIT, JSON_LIMIT, login_form, parsed, photo_form, quieten_parser, text_of
from streaming.api.events import Command
from streaming.api.sessions import AdmissionRequest, SessionRequest

FORM = "multipart/form-data; boundary=b"
fuzz = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


def request(body: bytes, kind: str = "application/json", cuts: Sequence[int] = (), length: int | None = None) -> web.Request:
    """A request whose body comes in pieces."""
    loop = asyncio.get_running_loop()
    content = StreamReader(BaseProtocol(loop), 2**16, loop=loop)
    at = 0
    for cut in (*sorted(cut % (len(body) + 1) for cut in cuts), len(body)):
        content.feed_data(body[at:cut])
        at = cut
    content.feed_eof()
    headers = {"Content-Type": kind, "Content-Length": str(len(body) if length is None else length)}
    return make_mocked_request("POST", "/", headers, payload=content)


def part(name: str, body: bytes, more: bytes = b"") -> bytes:
    return b'--b\r\nContent-Disposition: form-data; name="%s"\r\n%s\r\n%s\r\n' % (name.encode(), more, body)


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--b--\r\n"


async def test_a_form_is_read_whole() -> None:
    body = form(part("photo", b"\xff\xd8 \r\n--c\r\n"), part("name", "Zoë\n ".encode()), part("consent", b"yes"))
    for cuts in ((), (1, 40, 41, 90), range(0, len(body), 7)):
        fields = await photo_form(request(body, FORM, cuts))
        assert fields["photo"] == b"\xff\xd8 \r\n--c\r\n"
        assert (text_of(fields, "name"), text_of(fields, "consent"), text_of(fields, "more")) == ("Zoë", "yes", "")


@pytest.mark.parametrize("body", [form(part("more", b"")), form(part("name", b"a"), part("name", b"b"))])
async def test_another_form_is_not_read(body: bytes) -> None:
    with pytest.raises(ValueError, match="the form"):
        await photo_form(request(body, FORM))


async def test_what_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    too_large = pytest.raises(web.HTTPRequestEntityTooLarge)
    with too_large:
        await photo_form(request(form(part("name", b"x" * (FIELD_LIMIT + 1))), FORM))
    with too_large:
        await photo_form(request(b"", FORM, length=FORM_LIMIT + 1))
    with too_large:
        await parsed(request(b" " * (JSON_LIMIT + 1), length=0), SessionRequest)
    with too_large:
        await parsed(request(b"", length=JSON_LIMIT + 1), SessionRequest)
    monkeypatch.setattr(bodies, "PHOTO_LIMIT", 1000)
    with too_large:
        await photo_form(request(form(part("photo", b"x" * 1001)), FORM))


_HEADERS = st.sampled_from(
    [b"", b"Content-Type: multipart/mixed; boundary=q\r\n", b"Content-Transfer-Encoding: base64\r\n", b"Content-Length: -1\r\n",
     b"Content-Encoding: deflate\r\n", b"\xff\xfe: x\r\n", b"Content-Transfer-Encoding: quoted-printable\r\n"]
)  # fmt: skip
_PARTS = st.builds(part, st.sampled_from(["photo", "name", "consent", "", "_charset_", "x"]), st.binary(max_size=60), _HEADERS)
_KINDS = st.sampled_from([FORM, "multipart/form-data", 'multipart/form-data; boundary=""', "multipart/mixed; boundary=b", "x"])


@fuzz
@given(st.lists(_PARTS, max_size=4), st.binary(max_size=20), st.lists(st.integers(0, 999), max_size=4), _KINDS)
async def test_any_form_is_one_or_is_refused(parts: list[bytes], junk: bytes, cuts: list[int], kind: str) -> None:
    body = form(*parts)
    at = cuts[0] % len(body) if cuts else len(body)
    quieten_parser()
    body = body[:at] + junk + body[at + len(junk) :]
    with contextlib.suppress(ValueError, web.HTTPRequestEntityTooLarge):
        assert set(await photo_form(request(body, kind, cuts))) <= {"photo", "name", "consent"}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)
_NAMED = st.dictionaries(
    st.sampled_from(["portrait", "id", "size", "fps", "source", "scopes", "seconds", "control", "sample", "outline"]),
    _JSON | st.just("watch") | st.just(512),
)


@fuzz
@given(st.one_of(st.binary(max_size=200), _NAMED), st.sampled_from([SessionRequest, AdmissionRequest, Command]))
async def test_any_json_is_a_message_or_is_refused(value: Any, model: type[BaseModel]) -> None:
    body = value if isinstance(value, bytes) else json.dumps(value).encode(errors="surrogatepass")
    with contextlib.suppress(ValidationError):
        assert isinstance(await parsed(request(body), model), model)


LOGIN = "application/x-www-form-urlencoded"


@fuzz
@given(st.binary(max_size=60), st.sampled_from([LOGIN, LOGIN + "; charset=x", FORM]))
async def test_any_login_is_a_text_or_is_refused(body: bytes, kind: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(await login_form(request(body, kind)), str)
        assert await login_form(request(b"user=a&token=b%20c", kind)) == "b c"


HOSTILE = (b"[" * 60_000, b'{"a":' * 10_000, b'{"size": 1e999}', b"\xef\xbb\xbf{}", b'{"id": "a\\n"}', b"\xff")


@pytest.mark.parametrize("body", HOSTILE)
async def test_hostile_json_is_refused(body: bytes) -> None:
    with pytest.raises(ValidationError):
        await parsed(request(body), SessionRequest)


@pytest.mark.parametrize("name", ["a\n", "", "A", "a_b", "é", "a" * 65, "../x", "a b"])
async def test_ids_of_bodies_are_ids(name: str) -> None:
    with pytest.raises(ValidationError):
        SessionRequest(portrait="amara", id=name)
    with pytest.raises(ValidationError):
        SessionRequest(portrait=name)
