"""The pages: the avatar's own, the stage, and the login."""

from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from streaming.api.bodies import login_form
from streaming.api.house import HOUSE

WEB: Final = Path(__file__).parents[1] / "web"


def add_routes(app: web.Application) -> None:
    """Add the pages' routes."""
    app.router.add_get("/", _page("index.html"))
    app.router.add_get("/stage/{session}", _page("stage.html"))
    app.router.add_get("/favicon.ico", _page("icon.svg"))
    app.router.add_static("/static", WEB)
    app.router.add_post("/login", login)


def _page(name: str) -> Handler:
    async def page(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(WEB / name)

    return page


async def login_page(_: web.Request) -> web.StreamResponse:
    """Asks for the operator's token."""
    return web.Response(text=(WEB / "login.html").read_text("utf-8"), content_type="text/html")


async def login(request: web.Request) -> web.StreamResponse:
    """Take the token from the login page's form and give the browser its cookie."""
    gate, shown = request.app[HOUSE].gate, await login_form(request)
    if gate.operator.has_token and not gate.is_operator(request, shown):
        page = await login_page(request)
        page.set_status(401)
        return page
    response = web.Response(status=303, headers={"Location": "/"})
    gate.operator.remember(response)
    return response
