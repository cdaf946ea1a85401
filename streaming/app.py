"""The HTTP application: the page, its interface, health, and an orderly start and end."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from aiohttp import web
from aiohttp.typedefs import Handler
from numpy.typing import NDArray

from streaming import api, guard
from streaming.config import ServerConfig
from streaming.contract import SESSION_ID, LiveSessions
from streaming.desk import Desk, Feed
from streaming.posters import Posters
from streaming.tls import certificate_names

log = logging.getLogger(__name__)

WEB = Path(__file__).parent / "web"


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application serves; each part obeys a protocol, so that a test can bring its own.

    Attributes:
        sessions: opens sessions on workers; started in the background once the server answers, closed when it ends.
        library: the portraits.
        add_peers: adds the WHIP and WHEP routes for the sessions it is given.
        samples: voices for who has no microphone, mono float32 at 48 kHz.
        feeds: this machine's own sources.
    """

    sessions: LiveSessions
    library: api.Library
    add_peers: Callable[[web.Application, LiveSessions], None]
    samples: Mapping[str, NDArray[np.float32]] = field(default_factory=dict[str, NDArray[np.float32]])
    feeds: Mapping[str, Feed] = field(default_factory=dict[str, Feed])


class Failure:
    """Why the workers never became ready, if they did not."""

    def __init__(self) -> None:
        self.line: str | None = None


FAILURE = web.AppKey("failure", Failure)


def build_app(config: ServerConfig, parts: Parts) -> web.Application:
    """The application, ready for an aiohttp runner."""
    watch = guard.middleware(_guard(config), _login_page)
    app = web.Application(middlewares=[_headers, watch, api.one_line_errors], client_max_size=api.JSON_LIMIT)
    app[FAILURE] = Failure()
    app[api.HOUSE] = api.House(
        config=config,
        desk=Desk(parts.sessions),
        library=parts.library,
        samples=parts.samples,
        feeds=parts.feeds,
        posters=Posters(parts.sessions),
    )
    api.add_routes(app)
    parts.add_peers(app, app[api.HOUSE].desk)
    _add_pages(app)
    app.cleanup_ctx.append(_life)
    app.on_shutdown.append(_close_sessions)
    return app


def _guard(config: ServerConfig) -> guard.Guard:
    if config.loopback:
        own = {config.host.strip("[]").lower()}
        return guard.Guard(names=guard.LOOPBACK_NAMES | own, token=config.token, secure=config.certificate is not None)
    name = socket.gethostname().lower()
    names = {config.host.lower(), name, f"{name}.local", socket.getfqdn().lower()} | guard.LOOPBACK_NAMES
    assert config.certificate, "a configuration that others can reach has a certificate"
    names |= certificate_names(config.certificate)
    return guard.Guard(names=frozenset(names), token=config.token, addresses=True, secure=True)


@web.middleware
async def _headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as error:
        guard.add_headers(request, error)
        raise
    except ConnectionError:
        raise
    except Exception:
        log.exception("a request failed", extra={"path": request.path})
        response = guard.refused(500, "an error of ours; the server's log says more")
    if not response.prepared:
        guard.add_headers(request, response)
    return response


async def _life(app: web.Application) -> AsyncIterator[None]:
    """Warm the workers up while the page already answers; sweep abandoned sessions; end all of it in order."""
    desk = app[api.HOUSE].desk
    tasks = (
        asyncio.create_task(_warm_up(desk, app[FAILURE]), name="warming up"),
        asyncio.create_task(desk.sweep_for_ever(), name="sweeping"),
    )
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await desk.close()
    await app[api.HOUSE].library.close()


async def _warm_up(desk: Desk, failure: Failure) -> None:
    try:
        await desk.start()
    except Exception as error:
        failure.line = f"the workers do not start: {api.one_line(error)}"
        log.exception("the workers do not start")


async def _close_sessions(app: web.Application) -> None:
    """Say goodbye to pages and peers first, so that the server's sockets can close."""
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(app[api.HOUSE].desk.end_all(), 5)


# -- pages and health -------------------------------------------------------------------------------------------------


def _add_pages(app: web.Application) -> None:
    app.router.add_get("/", _page("index.html"))
    app.router.add_get("/stage/{session:%s}" % SESSION_ID.strip("^$"), _page("stage.html"))  # noqa: UP031 (braces)
    app.router.add_get("/favicon.ico", _page("icon.svg"))
    app.router.add_static("/static", WEB)
    app.router.add_post("/login", _login)
    app.router.add_get("/livez", _livez)
    app.router.add_get("/readyz", _readyz)
    app.router.add_get("/api/readiness", _readiness)


def _page(name: str) -> Handler:
    async def page(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(WEB / name)

    return page


async def _login_page(_: web.Request) -> web.StreamResponse:
    return web.Response(text=(WEB / "login.html").read_text("utf-8"), content_type="text/html")


async def _login(request: web.Request) -> web.StreamResponse:
    """Take the token from the login page's form and give the browser its cookie."""
    watch = _guard(request.app[api.HOUSE].config)
    shown = str((await request.post()).get("token", ""))
    if watch.token is not None and not guard.same(shown, watch.token):
        await asyncio.sleep(0.5)  # a wrong token is not worth guessing again
        page = await _login_page(request)
        page.set_status(401)
        return page
    response = web.Response(status=303, headers={"Location": "/"})
    watch.remember(response)
    return response


async def _livez(_: web.Request) -> web.Response:
    return web.json_response({"alive": True})


async def _readyz(request: web.Request) -> web.Response:
    waiting = _waiting_for(request)
    return web.json_response({"ready": not waiting, **({"error": waiting} if waiting else {})}, status=503 if waiting else 200)


async def _readiness(request: web.Request) -> web.Response:
    """As `/readyz`, for the page: waiting is no error there."""
    waiting = _waiting_for(request)
    return web.json_response({"ready": not waiting, "waiting_for": waiting})


def _waiting_for(request: web.Request) -> str | None:
    ready = request.app[api.HOUSE].desk.ready
    return None if ready else request.app[FAILURE].line or "warming up"
