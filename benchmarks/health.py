"""How the bench's server is doing, told over HTTP: `/bench/health`, `/bench/connections` and `/bench/journal/{session}`."""

import asyncio
import dataclasses
import gc
from collections.abc import Callable, Mapping
from typing import Any

import psutil
from aiohttp import web

from benchmarks.journal import Journal
from streaming.rtc.peer import Peers
from streaming.rtc.stats import peer_stats

Connections = Callable[[], Mapping[str, Mapping[str, Any]]]
"""By session: {"viewers", "peers", "voice": counts of its receiver or None}."""


def add_routes(app: web.Application, connections: Connections, journals: Mapping[str, Journal]) -> None:
    """Serve what the suites ask."""

    async def health(request: web.Request) -> web.Response:
        return web.json_response(_process(settled="settled" in request.query))

    async def connected(_: web.Request) -> web.Response:
        return web.json_response(connections())

    async def journal(request: web.Request) -> web.Response:
        found = journals.get(request.match_info["session"])
        if found is None:
            raise web.HTTPNotFound(text="no such session is noted")
        return web.Response(body=found.document(), content_type="application/octet-stream")

    app.router.add_get("/bench/health", health)
    app.router.add_get("/bench/connections", connected)
    app.router.add_get("/bench/journal/{session}", journal)


def of_peers(peers: Peers, names: Callable[[], Mapping[str, object]]) -> Connections:
    """The product's connections."""

    def connections() -> dict[str, dict[str, Any]]:
        return {name: _of_session(peers, name) for name in names()}

    return connections


def _of_session(peers: Peers, name: str) -> dict[str, Any]:
    stats = peer_stats(peers, name)
    voices = [peer.heard for peer in stats.peers if peer.heard is not None]
    return {
        "viewers": stats.viewers,
        "peers": len(stats.peers),
        "voice": dataclasses.asdict(voices[-1]) if voices else None,
        "bitrate_bps": stats.bitrate_bps,
        "keys": sum(stats.keys.values()),
    }


def _process(*, settled: bool) -> dict[str, Any]:
    """What the server's process holds; `settled`: after everything that can be freed has been.

    Finding its workers takes the event loop some milliseconds: not to be asked for while a page is watched.
    """
    if settled:
        gc.collect()
    me, tasks = psutil.Process(), asyncio.all_tasks()
    return {
        "pid": me.pid,
        "tasks": len(tasks) - 1,  # less the one that answers
        "rss_mb": _rss_mb(me),
        "workers_mb": sum(_rss_mb(child) for child in me.children(recursive=True)),
        "threads": me.num_threads(),
        "descriptors": me.num_fds(),
        "names": sorted(getattr(task.get_coro(), "__qualname__", "") for task in tasks),
    }


def _rss_mb(process: psutil.Process) -> float:
    """Resident; nothing of one that has ended."""
    try:
        return process.memory_info().rss / 2**20
    except psutil.Error:
        return 0.0
