"""Who is let in, over HTTP: the rules of every route, as strangers, guests, holders and the operator meet them."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientResponse, web

from streaming.api.house import HOUSE
from streaming.config import ServerConfig
from streaming.contract import LiveSessions
from streaming.guard.quota import GUESSES, OFFERS, Quota, Rate
from streaming.guard.rules import ANYBODY, RULES
from tests.unit.served import TOKEN, House, error

SDP = {"Content-Type": "application/sdp"}


class Guarded(House):
    """A server with a token, on which nobody is recognized, and whose peers only count the offers they get."""

    def __init__(self, **options: object) -> None:
        self.offers: list[str] = []
        super().__init__(ServerConfig(token=TOKEN, **options), add_peers=self._add_peers)  # pyright: ignore[reportArgumentType]

    def _add_peers(self, app: web.Application, _: LiveSessions) -> None:
        async def take(request: web.Request) -> web.Response:
            self.offers.append(request.path)
            return web.Response(status=201)

        for role in ("whip", "whep"):
            app.router.add_post(f"/{role}/{{session}}", take)
            app.router.add_options(f"/{role}/{{session}}", take)
            app.router.add_delete(f"/{role}/{{session}}/{{peer}}", take)

    async def ask(self, method: str, path: str, bearer: str | None = None, **request: object) -> ClientResponse:
        headers = {"Authorization": f"Bearer {bearer}"} if bearer is not None else {}
        return await self.client.request(method, path, headers=headers | request.pop("headers", {}), **request)  # pyright: ignore

    async def session(self) -> dict[str, str]:
        answer = await self.ask("POST", "/api/sessions", TOKEN, json={"portrait": "amara", "id": "my-face"})
        assert answer.status == 201
        return await answer.json()

    async def admission(self, bearer: str = TOKEN, **wanted: object) -> str:
        answer = await self.ask("POST", "/api/admissions", bearer, json=wanted)
        assert answer.status == 201, await answer.text()
        return (await answer.json())["admission"]


@pytest.fixture
async def house() -> AsyncIterator[Guarded]:
    house = Guarded()
    async with house.client:
        yield house


def test_every_rule_is_of_a_route_and_every_route_that_is_open_to_all_is_named(house: Guarded) -> None:
    routes = {f"{route.method} {route.resource.canonical}" for route in house.app.router.routes() if route.resource}
    missing = {name for name in RULES if name not in routes and not name.startswith(("PATCH", "OPTIONS", "DELETE /wh"))}
    assert missing == set()
    assert {name for name, rule in RULES.items() if rule is ANYBODY and "/wh" not in name} == {
        "GET /livez", "GET /readyz", "GET /favicon.ico", "GET /static", "POST /login",
    }  # fmt: skip


async def test_a_stranger_gets_to_nothing_else(house: Guarded) -> None:
    await house.session()
    for route in house.app.router.routes():
        assert route.resource is not None
        method, canonical = route.method.replace("HEAD", "GET"), route.resource.canonical
        if RULES.get(f"{method} {canonical}") is ANYBODY:
            continue
        path = canonical.format(session="my-face", peer="p", portrait="amara", ticket="t")
        answer = await house.ask(route.method, path)
        assert (answer.status, "Bearer" in answer.headers.get("WWW-Authenticate", "")) == (401, True), path
    assert house.offers == []


async def test_an_offer_needs_an_admission_of_its_scope_and_session_and_spends_it(house: Guarded) -> None:
    session = await house.session()
    assert (await house.ask("POST", session["whep"], session["admission"], headers=SDP)).status == 201
    assert (await error(await house.ask("POST", session["whep"], session["admission"], headers=SDP)))[0] == 401
    assert (await house.ask("POST", session["whip"], session["admission"], headers=SDP)).status == 201
    watch = await house.admission(session="my-face", scopes=["watch"])
    assert (await error(await house.ask("POST", session["whip"], watch, headers=SDP)))[0] == 401
    assert (await error(await house.ask("POST", "/whep/another", watch, headers=SDP)))[0] == 401
    assert (await house.ask("OPTIONS", session["whep"], watch)).status == 201  # only looked at
    assert (await house.ask("POST", session["whep"], watch, headers=SDP)).status == 201
    assert (await house.ask("POST", session["whep"], TOKEN, headers=SDP)).status == 201
    assert (await house.ask("DELETE", f"{session['whep']}/0123abcd")).status == 201  # by its address
    assert len(house.offers) == 6


async def test_on_a_server_without_a_token_an_offer_needs_one_all_the_same() -> None:
    class Local(Guarded):
        def __init__(self) -> None:
            self.offers = []
            House.__init__(self, ServerConfig(), add_peers=self._add_peers)

    house = Local()
    async with house.client:
        for bearer in (None, "", "x", "a.b.c"):
            assert (await error(await house.ask("POST", "/whep/my-face", bearer, headers=SDP)))[0] == 401
        assert house.offers == []
        session = await (await house.client.post("/api/sessions", json={"portrait": "amara"})).json()
        assert (await house.ask("POST", session["whep"], session["admission"], headers=SDP)).status == 201


async def test_offers_without_a_token_reach_no_peer_however_many(house: Guarded) -> None:
    session = await house.session()
    for _ in range(2 * OFFERS.burst):
        assert (await house.ask("POST", session["whep"], data=b"v=0", headers=SDP)).status == 401
    assert house.offers == []
    assert (await house.ask("POST", session["whep"], session["admission"], headers=SDP)).status == 201  # nobody else pays


async def test_whoever_holds_a_session_lets_others_into_it_and_nowhere_else(house: Guarded) -> None:
    session = await house.session()
    secret = session["resume"]
    watch = await house.admission(secret, scopes=["watch"], seconds=5)
    assert (await house.ask("POST", session["whep"], watch, headers=SDP)).status == 201
    for wanted in ({"scopes": ["watch"], "session": "another"}, {"scopes": ["open"]}, {"scopes": ["watch", "enrol"]}):
        assert (await error(await house.ask("POST", "/api/admissions", secret, json=wanted)))[0] == 403
    assert (await error(await house.ask("POST", session["whep"], secret, headers=SDP)))[0] == 403
    assert (await error(await house.ask("GET", "/api/portraits", secret)))[0] == 403
    assert (await house.ask("GET", "/api/sessions/my-face", secret)).status == 200
    assert (await house.ask("DELETE", "/api/sessions/my-face", secret)).status == 204


@pytest.mark.parametrize(
    "wanted", [{}, {"scopes": []}, {"scopes": ["rule"]}, {"scopes": ["watch"]}, {"scopes": ["open"], "seconds": 121}, []]
)
async def test_what_no_admission_can_be_is_refused(house: Guarded, wanted: object) -> None:
    assert (await error(await house.ask("POST", "/api/admissions", TOKEN, json=wanted)))[0] == 400


async def test_a_guest_opens_one_session_and_holds_it(house: Guarded) -> None:
    guest = await house.admission(scopes=["open"], session="guest")
    body = {"portrait": "amara", "id": "other"}
    assert (await error(await house.ask("POST", "/api/sessions", guest, json=body)))[0] == 403
    guest = await house.admission(scopes=["open"])
    session = await (await house.ask("POST", "/api/sessions", guest, json=body | {"id": "guest"})).json()
    assert (await error(await house.ask("POST", "/api/sessions", guest, json=body)))[0] == 401
    await house.app[HOUSE].desk.end("guest", keep=True)
    again = await house.ask("POST", "/api/sessions", session["resume"], json=body | {"id": "guest"})
    assert again.status == 201
    assert (await error(await house.ask("POST", "/api/sessions", session["resume"], json=body)))[0] == 403


async def test_a_socket_takes_its_token_as_a_protocol(house: Guarded) -> None:
    session = await house.session()
    protocols = ("mien", f"bearer.{session['admission']}")
    async with house.client.ws_connect(session["events"], protocols=protocols) as socket:
        assert socket.protocol == "mien"
        assert "status" in await socket.receive_json()
    spent = await house.ask("GET", session["events"], headers={"Sec-WebSocket-Protocol": ", ".join(protocols)})
    assert spent.status == 401


async def test_an_admission_to_enrol_lets_one_photo_in(house: Guarded) -> None:
    guest = await house.admission(scopes=["enrol"])
    assert (await error(await house.ask("POST", "/api/portraits", guest, json={})))[0] == 400
    assert (await error(await house.ask("POST", "/api/portraits", guest, json={})))[0] == 401


async def test_who_guesses_is_soon_not_answered(house: Guarded) -> None:
    for i in range(GUESSES.burst):
        assert (await error(await house.ask("GET", "/api/portraits", f"guess-{i}")))[0] == 401
    for attempt in (
        house.ask("GET", "/api/portraits", TOKEN),  # now the right one would not be told from a wrong one
        house.client.get("/?token=" + TOKEN),
        house.client.post("/login", data={"token": TOKEN}),
    ):
        answer = await attempt
        assert answer.status == 429
        assert int(answer.headers["Retry-After"]) >= 1


async def test_what_costs_much_may_be_asked_for_only_so_often(house: Guarded) -> None:
    session = await house.session()
    house.app[HOUSE].gate._quotas["POST /whep/{session}"] = Quota(Rate(1, 0.001))
    assert (await house.ask("POST", session["whep"], TOKEN, headers=SDP)).status == 201
    answer = await house.ask("POST", session["whep"], session["admission"], headers=SDP)
    assert answer.status == 429
    house.app[HOUSE].gate._quotas["POST /whep/{session}"] = Quota(Rate(1, 0.001))
    assert (await house.ask("POST", session["whep"], session["admission"], headers=SDP)).status == 201  # it was not spent


@pytest.mark.parametrize(
    "path", ["/api/sessions/No", "/api/sessions/x%0A", "/api/sessions/" + "a" * 65, "/stage/a_b", "/whep/%C3%A9"]
)
async def test_ids_are_small_letters_digits_and_dashes(house: Guarded, path: str) -> None:
    method = "POST" if path.startswith("/whep") else "GET"
    assert (await error(await house.ask(method, path, TOKEN)))[0] == 404


async def test_a_content_type_that_would_take_long_to_parse_is_not_parsed(house: Guarded) -> None:
    hostile = {"Content-Type": "multipart/form-data; " + "a b;" * 500}
    assert (await error(await house.client.post("/login", data=b"token=x", headers=hostile)))[0] == 415


# -- other pages ------------------------------------------------------------------------------------------------------

STUDIO = "https://studio.example.org"


async def test_another_page_may_connect_if_the_operator_allows_it() -> None:
    house = Guarded(origins=frozenset({STUDIO}))
    async with house.client:
        session = await house.session()
        asks = {"Origin": STUDIO, "Access-Control-Request-Method": "POST", "Sec-Fetch-Site": "cross-site"}
        preflight = await house.ask("OPTIONS", session["whep"], headers=asks)
        assert (preflight.status, preflight.headers["Access-Control-Allow-Origin"]) == (204, STUDIO)
        assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
        comes = {"Origin": STUDIO, "Sec-Fetch-Site": "cross-site", **SDP}
        answer = await house.ask("POST", session["whep"], session["admission"], headers=comes)
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (201, STUDIO)
        assert "Location" in answer.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in answer.headers
        refused = await house.ask("POST", session["whep"], headers=comes)
        assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (401, STUDIO)
        stranger = await house.ask("POST", session["whep"], TOKEN, headers=comes | {"Origin": "https://evil.example"})
        assert stranger.status == 403
        assert "Access-Control-Allow-Origin" not in stranger.headers


async def test_it_is_not_recognized_by_where_it_runs() -> None:
    house = House(ServerConfig(origins=frozenset({STUDIO})))
    async with house.client as client:
        comes = {"Origin": STUDIO, "Sec-Fetch-Site": "cross-site"}
        assert (await client.post("/api/sessions", json={"portrait": "amara"}, headers=comes)).status == 401
        assert (await client.post("/api/sessions", json={"portrait": "amara"})).status == 201


async def test_a_further_name_is_known() -> None:
    house = Guarded(hosts=frozenset({"face.example.org"}))
    async with house.client:
        assert (await house.ask("GET", "/api/portraits", TOKEN, headers={"Host": "face.example.org"})).status == 200
        assert (await house.ask("GET", "/api/portraits", TOKEN, headers={"Host": "evil.example.org"})).status == 403
