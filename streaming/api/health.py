"""Whether the server lives, whether it can open sessions, and its figures."""

from aiohttp import web

from streaming.api.house import HOUSE, House
from streaming.metrics import CONTENT_TYPE


def add_routes(app: web.Application) -> None:
    """Add the routes of health."""
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/api/readiness", readiness)
    app.router.add_get("/metrics", metrics)


async def livez(_: web.Request) -> web.Response:
    """200: the event loop answers."""
    return web.json_response({"alive": True})


async def readyz(request: web.Request) -> web.Response:
    """200 when sessions can be opened, else 503 and why not."""
    waiting = waiting_for(request.app[HOUSE])
    return web.json_response({"ready": not waiting, **({"error": waiting} if waiting else {})}, status=503 if waiting else 200)


async def readiness(request: web.Request) -> web.Response:
    """As `/readyz`, for the page: waiting is no error there."""
    waiting = waiting_for(request.app[HOUSE])
    return web.json_response({"ready": not waiting, "waiting_for": waiting})


async def metrics(request: web.Request) -> web.Response:
    """The server's figures in Prometheus' text format."""
    return web.Response(body=request.app[HOUSE].metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})


def waiting_for(house: House) -> str | None:
    """Why no session can be opened now, if so: one line."""
    if house.draining:
        return "this server is about to end; use another one, or start it again"
    return None if house.desk.ready else house.failure or "warming up"
