"""The HTTP application: the page, its interface, health, and an orderly start and end."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from streaming.api import events, health, options, pages, portraits, sessions
from streaming.api.bodies import JSON_LIMIT, quieten_parser
from streaming.api.errors import is_ours, no_secrets_in_failures, one_line, one_line_errors
from streaming.api.house import HOUSE, House, Library
from streaming.config import ServerConfig
from streaming.contract import LiveSessions
from streaming.desk import Desk, Feed
from streaming.guard import gate, headers
from streaming.guard.admission import Admissions
from streaming.guard.door import DOOR, Door
from streaming.guard.hosts import LOOPBACK_NAMES, Hosts
from streaming.guard.lease import Leases
from streaming.guard.operator import Operator
from streaming.guard.proxies import Proxies
from streaming.guard.stall import give_up_stalled
from streaming.metrics import Metrics, deepest
from streaming.posters import Posters
from streaming.tls import certificate_names
from streaming.watchdog import Watchdog

log = logging.getLogger(__name__)

ANSWER_S: Final = 5.0  # for requests that are being answered when the server ends


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application serves; each part obeys a protocol, so that a test can bring its own.

    Attributes:
        sessions: opens sessions on workers; started in the background once the server answers, closed when it ends.
        library: the portraits.
        add_peers: adds the WHIP and WHEP routes for the sessions it is given.
        samples: voices for who has no microphone, mono float32 at 48 kHz.
        feeds: this machine's own sources.
        metrics: what the sessions report to.
    """

    sessions: LiveSessions
    library: Library
    add_peers: Callable[[web.Application, LiveSessions], None]
    samples: Mapping[str, NDArray[np.float32]] = field(default_factory=dict[str, NDArray[np.float32]])
    feeds: Mapping[str, Feed] = field(default_factory=dict[str, Feed])
    metrics: Metrics = field(default_factory=Metrics)


def build_app(config: ServerConfig, parts: Parts) -> web.Application:
    """The application, ready for an aiohttp runner."""
    quieten_parser()
    guard = build_gate(config)
    watch, door = gate.middleware(guard, pages.login_page), Door()
    middlewares = [door.middleware(), no_secrets_in_failures, watch, give_up_stalled, one_line_errors]
    app = web.Application(middlewares=middlewares, client_max_size=JSON_LIMIT)
    app[DOOR] = door
    posters = Posters(parts.sessions, cheap=config.models is None)
    desk = Desk(parts.sessions, guard.leases, posters.aside)
    app[HOUSE] = House(config, desk, guard, parts.library, parts.samples, parts.feeds, posters, parts.metrics)
    for part in (pages, health, options, portraits, sessions, events):
        part.add_routes(app)
    parts.add_peers(app, desk)
    _offer_gauges(parts.metrics, desk)
    app.on_response_prepare.extend((headers.on_prepare, parts.metrics.answered))
    app.cleanup_ctx.append(_life)
    app.on_shutdown.append(_close_sessions)
    return app


def build_runner(app: web.Application, *, answer_s: float = ANSWER_S) -> web.AppRunner:
    """What serves the application: no access log, and of requests that are no HTTP none at all."""
    log = logging.getLogger("streaming.http")
    log.addFilter(is_ours)
    return web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=answer_s, logger=log)


def build_gate(config: ServerConfig) -> gate.Gate:
    """The rules that a configuration asks for."""
    key = config.admission_key.encode() if config.admission_key else None
    operator = Operator(config.token, secure=config.certificate is not None)
    return gate.Gate(_hosts(config), operator, Admissions(key), Leases(), Proxies(config.proxies))


def _hosts(config: ServerConfig) -> Hosts:
    names = LOOPBACK_NAMES | {config.host.strip("[]").lower()} | config.hosts
    if not config.loopback:
        name = socket.gethostname().lower()
        names |= {name, f"{name}.local", socket.getfqdn().lower()}
    if config.certificate is not None:
        names |= certificate_names(config.certificate)
    return Hosts(frozenset(names), addresses=not config.loopback, origins=config.origins)


def _offer_gauges(metrics: Metrics, desk: Desk) -> None:
    def depths() -> list[float]:
        stages = (seat.status().stages_ms for seat in desk.all().values())
        return [stage["audio_hold"]["p50"] for stage in stages if "audio_hold" in stage]

    metrics.gauge("sessions", "Sessions that are open", lambda: len(desk.all()))
    metrics.gauge("viewers", "Peers that watch", lambda: sum(seat.status().viewers for seat in desk.all().values()))
    metrics.gauge("pages", "Sockets of pages", lambda: sum(len(seat.pages) for seat in desk.all().values()))
    metrics.gauge("voice_buffer_seconds", "Median depth of the voice's buffer, deepest of all", lambda: deepest(depths()))
    metrics.gauge("ready", "Whether a worker is warm", lambda: desk.ready)


async def _life(app: web.Application) -> AsyncIterator[None]:
    """Warm the workers up while the page already answers; sweep abandoned sessions; end all of it in order."""
    house = app[HOUSE]
    tasks = (
        asyncio.create_task(_warm_up(house), name="warming up"),
        asyncio.create_task(house.desk.sweep_for_ever(), name="sweeping"),
        asyncio.create_task(Watchdog(house.metrics).watch(), name="watchdog"),
    )
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await house.desk.close()
    await house.library.close()


async def _warm_up(house: House) -> None:
    try:
        await house.desk.start()
    except Exception as error:
        house.failure = f"the workers do not start: {one_line(error)}"
        log.exception("the workers do not start")


async def _close_sessions(app: web.Application) -> None:
    """Say goodbye to pages and peers first, so that the server's sockets can close."""
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(app[HOUSE].desk.end_all(), 5)
