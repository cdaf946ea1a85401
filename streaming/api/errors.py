"""Every error as `{"error": one line}` and the right status."""

import json
import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler
from pydantic import ValidationError

from engine.errors import MienError, OutOfDeviceMemory
from streaming.api.bodies import JSON_LIMIT, PHOTO_LIMIT
from streaming.contract import CapacityReached
from streaming.desk import Taken
from streaming.enrolment import EnrolmentBusy
from streaming.guard.answers import refused
from streaming.guard.stall import Stalled

log = logging.getLogger(__name__)


@web.middleware
async def one_line_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What a handler raises becomes an answer; only a bug of ours is a 500."""
    try:
        return await handler(request)
    except CapacityReached as error:
        return refused(503, str(error) or "no room for one more session; stop another one first")
    except (EnrolmentBusy, OutOfDeviceMemory) as error:
        return refused(503, one_line(error))
    except Taken as error:
        return refused(409, f"another page holds the session {error}; close it there")
    except Stalled as error:
        return refused(408, str(error))
    except (ValidationError, ValueError) as error:
        return refused(400, one_line(error))
    except MienError as error:
        return refused(422, one_line(error))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return refused(error.status, _http_line(error))


@web.middleware
async def no_secrets_in_failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost boundary: a bug of ours is logged, and its caller is told no more than that."""
    try:
        return await handler(request)
    except web.HTTPException:
        raise
    except ConnectionError:
        return refused(400, "the connection was lost")  # nobody will read it
    except Exception:
        log.exception("a request failed", extra={"path": request.path})
        return refused(500, "an error of ours; the server's log says more")


def is_ours(record: logging.LogRecord) -> bool:
    """A log's filter: bytes that are no HTTP are answered with 400; aiohttp would log half a kilobyte of each."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def _http_line(error: web.HTTPException) -> str:
    if error.status == 404:
        return error.text if error.text and not error.text.startswith("404") else "there is nothing at that address"
    if error.status == 413:
        return f"that is too large; at most {PHOTO_LIMIT // 2**20} MB for a photo and {JSON_LIMIT // 1024} kB for the rest"
    return error.reason or "the request cannot be served"


def one_line(error: Exception) -> str:
    """An error as one line fit for a user."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return f"{where}: {first['msg']}" if where else str(first["msg"])
    if isinstance(error, json.JSONDecodeError):
        return "the body is not JSON"
    return " ".join(str(error).split()) or type(error).__name__
