"""What a stranger's request carries: JSON and forms, each read within its limits and checked."""

import re
import warnings
from collections.abc import Mapping
from typing import Annotated, Final, TypeVar
from urllib.parse import parse_qs

from aiohttp import BadContentDispositionHeader, BadContentDispositionParam, BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, ConfigDict, Field

from engine.enrol.photo import UPLOAD
from streaming.contract import SESSION_ID

JSON_LIMIT: Final = 64 * 1024  # bytes
PHOTO_LIMIT: Final = UPLOAD.megabytes * 2**20  # bytes
FIELD_LIMIT: Final = 2000  # bytes of a name or a consent statement
FORM_LIMIT: Final = PHOTO_LIMIT + 16 * 1024  # bytes, with what surrounds the fields
_CHUNK: Final = 256 * 1024  # bytes

Id = Annotated[str, Field(pattern=SESSION_ID)]


class Strict(BaseModel):
    """A message from outside: nothing in it that we did not name."""

    model_config = ConfigDict(extra="forbid", frozen=True)


M = TypeVar("M", bound=BaseModel)


def quieten_parser() -> None:
    """Keep aiohttp from warning of each damaged form, in the stranger's own words: the refusal says it."""
    for remark in (BadContentDispositionHeader, BadContentDispositionParam):
        warnings.simplefilter("ignore", remark)


async def parsed(request: web.Request, model: type[M]) -> M:
    """A request's JSON, an empty body being `{}`.

    Raises:
        web.HTTPRequestEntityTooLarge: if it is more than `JSON_LIMIT`.
        pydantic.ValidationError: if it is not what `model` says.
    """
    return model.model_validate_json(await _small(request) or b"{}")


async def login_form(request: web.Request) -> str:
    """The field `token` of the login page's form (`application/x-www-form-urlencoded`), "" if it is not there.

    Raises:
        ValueError: if it is no such form.
        web.HTTPRequestEntityTooLarge: if it is more than `JSON_LIMIT`.
    """
    if request.content_type != "application/x-www-form-urlencoded":
        raise ValueError("expected the login page's form")
    fields = parse_qs((await _small(request)).decode(errors="replace"), max_num_fields=8)
    return fields.get("token", [""])[0]


async def photo_form(request: web.Request) -> dict[str, bytes]:
    """The fields `photo`, `name` and `consent` of a multipart form (RFC 7578), as far as they are there.

    Raises:
        ValueError: if it is no such form.
        web.HTTPRequestEntityTooLarge: if a field, or all of it, is too large.
    """
    if request.content_type != "multipart/form-data":
        raise ValueError(f"expected multipart/form-data, got {request.content_type[:60]}")
    _check_length(request, FORM_LIMIT)
    fields: dict[str, bytes] = {}
    try:
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            name = part.name if isinstance(part, BodyPartReader) else None
            if name not in ("photo", "name", "consent") or not isinstance(part, BodyPartReader):
                raise ValueError(f"the form has no field {str(name)[:40]!r}; it takes photo, name and consent")
            if name in fields:
                raise ValueError(f"the form has the field {name} twice")
            fields[name] = await _read(part, PHOTO_LIMIT if name == "photo" else FIELD_LIMIT)
    except (HttpProcessingError, AssertionError, LookupError, RuntimeError, TypeError) as error:  # what its parser raises
        raise ValueError("the form is damaged or was cut short; send it again") from error
    return fields


def text_of(fields: Mapping[str, bytes], name: str) -> str:
    """A field of a form as one line of text, "" if it is not there.

    Raises:
        ValueError: if it is not UTF-8.
    """
    try:
        text = fields.get(name, b"").decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: not UTF-8") from error
    return " ".join(re.sub(r"[^\S ]|[\x00-\x1f\x7f]", " ", text).split())


async def _small(request: web.Request) -> bytes:
    _check_length(request, JSON_LIMIT)
    body = bytearray()
    async for piece in request.content.iter_chunked(_CHUNK):
        body += piece
        if len(body) > JSON_LIMIT:
            raise web.HTTPRequestEntityTooLarge(JSON_LIMIT, len(body))
    return bytes(body)


async def _read(part: BodyPartReader, limit: int) -> bytes:
    body = bytearray()
    while chunk := await part.read_chunk(_CHUNK):
        body += chunk
        if len(body) > limit:
            raise web.HTTPRequestEntityTooLarge(limit, len(body))
    return bytes(body)


def _check_length(request: web.Request, limit: int) -> None:
    if (request.content_length or 0) > limit:
        raise web.HTTPRequestEntityTooLarge(limit, request.content_length or 0)
