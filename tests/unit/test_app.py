import asyncio
import io
from collections.abc import AsyncIterator

import numpy as np
import pytest
from aiohttp import ClientResponse, ClientSession, FormData, WSMsgType
from PIL import Image

from engine.errors import AudioError, OutOfDeviceMemory
from streaming.api import bodies
from streaming.api.house import HOUSE
from streaming.config import ServerConfig
from streaming.desk import Push
from tests.unit.served import TOKEN, House, error


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    async with house.client:
        yield house


def photo(size: tuple[int, int] = (64, 64)) -> bytes:
    body = io.BytesIO()
    Image.new("RGB", size, "grey").save(body, "JPEG")
    return body.getvalue()


async def test_the_page_answers_with_the_headers_that_keep_it_to_itself(house: House) -> None:
    page = await house.client.get("/")
    assert page.status == 200
    assert "<title>mien</title>" in await page.text()
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "microphone=(self)" in page.headers["Permissions-Policy"]
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize(
    "path", ["/static/app.js", "/static/app.css", "/stage/some-session", "/favicon.ico", "/livez", "/readyz"]
)
async def test_its_parts_are_there(house: House, path: str) -> None:
    assert (await house.client.get(path)).status == 200


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/stage/Not_An_Id", "/static/", "/nothing"])
async def test_nothing_else_is(house: House, path: str) -> None:
    assert (await house.client.get(path)).status in (403, 404)


async def test_the_page_answers_while_the_workers_warm_up() -> None:
    house = House(ready=False)
    async with house.client as client:
        assert (await client.get("/")).status == 200
        assert (await error(await client.get("/readyz"))) == (503, "warming up")
        assert await (await client.get("/api/readiness")).json() == {"ready": False, "waiting_for": "warming up"}
        status, line = await error(await client.post("/api/sessions", json={"portrait": "amara"}))
        assert (status, "warming up" in line) == (503, True)
        assert house.sessions.opened == {}


async def test_a_strangers_host_is_refused(house: House) -> None:
    for path in ("/", "/api/portraits", "/livez"):
        assert (await house.client.get(path, headers={"Host": "evil.example"})).status == 403


async def test_a_strangers_origin_may_change_nothing(house: House) -> None:
    stranger = {"Origin": "http://evil.example"}
    name = await house.open()
    for method, path in (
        ("POST", "/api/sessions"),
        ("POST", "/api/portraits"),
        ("DELETE", "/api/portraits/amara"),
        ("DELETE", f"/api/sessions/{name}"),
    ):
        status, _ = await error(await house.client.request(method, path, headers=stranger))
        assert status == 403
    answer = await house.client.get(
        f"/api/sessions/{name}/events",
        headers={**stranger, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                 "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="},
    )  # fmt: skip
    assert answer.status == 403
    assert not house.sessions.opened[name].closed


async def test_options_tell_what_the_page_may_offer(house: House) -> None:
    options = await (await house.client.get("/api/options")).json()
    assert options["sizes"] == [256, 384, 512, 768]
    assert options["channels"]["jawOpen"] == {"min": 0.0, "max": 1.0}
    assert options["channels"]["yaw"]["min"] < 0
    assert options["samples"] == ["hello"]
    assert options["sources"] == ["browser"]
    assert options["cameras"] == ["browser"]
    assert options["factors"] == {"pose": "camera", "gaze": "camera", "expression": "camera", "lips": "voice"}
    assert sum(options["outline"]) == 110
    assert {"id": "wink", "gesture": True} in options["presets"]


# -- portraits --------------------------------------------------------------------------------------------------------


def form(**fields: object) -> FormData:
    data = FormData()
    for name, value in fields.items():
        data.add_field(name, io.BytesIO(value) if isinstance(value, bytes) else value)
    return data


async def test_a_photo_becomes_a_portrait_and_its_consent_is_kept(house: House) -> None:
    body = form(photo=photo(), name="  Ada\n", consent="It is mine. Signed: Ada")
    answer = await house.client.post("/api/portraits", data=body)
    assert answer.status == 201
    portrait = await answer.json()
    assert portrait["name"] == "Ada"
    assert not portrait["builtin"]
    assert house.library.consents == ["It is mine. Signed: Ada"]
    assert (await house.client.get(portrait["thumbnail"])).content_type == "image/png"
    assert (await house.client.delete(f"/api/portraits/{portrait['id']}")).status == 204
    assert (await house.client.delete(f"/api/portraits/{portrait['id']}")).status == 404


async def test_without_consent_no_photo_is_looked_at(house: House) -> None:
    for consent in ({}, {"consent": ""}, {"consent": "  \n "}):
        status, line = await error(await house.client.post("/api/portraits", data=form(photo=photo(), name="x", **consent)))
        assert (status, line.startswith("consent")) == (400, True)
    assert house.library.photos == []


async def test_bad_uploads_get_one_line_each(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    post = house.client.post
    assert await error(await post("/api/portraits", data=form(photo=b"not a picture", consent="yes"))) == (
        422, "no face was found in the photo; use one where both eyes are visible",
    )  # fmt: skip
    assert (await error(await post("/api/portraits", data=form(photo=b"", consent="yes"))))[0] == 400
    assert (await error(await post("/api/portraits", data=form(photo=photo(), consent="yes", more="x"))))[0] == 400
    assert (await error(await post("/api/portraits", data=form(photo=photo(), consent=io.BytesIO(b"\xff\xfe")))))[0] == 400
    assert (await error(await post("/api/portraits", json={})))[0] == 400
    monkeypatch.setattr(bodies, "PHOTO_LIMIT", 1000)
    assert (await error(await post("/api/portraits", data=form(photo=bytes(5000), consent="yes"))))[0] == 413
    assert (await error(await post("/api/portraits", data=form(photo=photo(), consent="y" * 5000))))[0] == 413
    assert (await house.client.get("/livez")).status == 200
    assert house.app[HOUSE].enrolments == {}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        b"--b\r\nContent-Disposition: form-da",
        b'--b\r\nContent-Disposition: form-data; name="photo"\r\n\r\n\xff\xd8',
        b'--b\r\nC\xf5ntent-Disposition: form-data; name="photo"\r\n\r\nx\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="photo"\r\nContent-Encoding: gzip\r\n\r\nx\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="photo"\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\nx\r\n--b--',
    ],
)
async def test_a_damaged_form_gets_one_line(house: House, body: bytes) -> None:
    answer = await house.client.post("/api/portraits", data=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert (await error(answer))[0] == 400


async def test_a_photo_can_be_announced(house: House) -> None:
    assert (await house.client.post("/api/enrolments")).status == 204
    assert house.library.prepared == 1
    assert (await house.client.get("/api/enrolments/x")).status == 204


async def test_built_in_faces_stay(house: House) -> None:
    assert (await error(await house.client.delete("/api/portraits/amara")))[0] == 403
    assert "amara" in house.library.faces


# -- sessions ---------------------------------------------------------------------------------------------------------


async def test_a_session_is_opened_watched_and_ended(house: House) -> None:
    answer = await house.client.post("/api/sessions", json={"portrait": "mei", "size": 256, "fps": 50, "look_ahead_ms": 0})
    session = await answer.json()
    name = session["id"]
    assert session == {
        "id": name, "whip": f"/whip/{name}", "whep": f"/whep/{name}", "stage": f"/stage/{name}",
        "events": f"/api/sessions/{name}/events", "resume": session["resume"], "admission": session["admission"],
    }  # fmt: skip
    settings = house.sessions.opened[name].settings
    assert (settings.portrait, settings.size, settings.fps, settings.look_ahead_ms, settings.badge) == ("mei", 256, 50, 0, True)
    status = await (await house.client.get(f"/api/sessions/{name}")).json()
    assert (status["state"], status["portrait"], status["source"]) == ("live", "mei", "browser")
    assert (await house.client.delete(f"/api/sessions/{name}")).status == 204
    assert house.sessions.opened[name].closed
    assert (await error(await house.client.get(f"/api/sessions/{name}"))) == (404, "that session has ended")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"portrait": "nobody"}, 404),
        ({"portrait": "amara", "size": 500}, 400),
        ({"portrait": "amara", "fps": 0}, 400),
        ({"portrait": "amara", "badge": False}, 400),
        ({"portrait": "amara", "id": "../x"}, 400),
        ({"portrait": "amara", "source": "microphone"}, 400),
        ({"portrait": "a" * 100_000}, 413),
        ([], 400),
    ],
)
async def test_bad_requests_for_a_session_get_one_line(house: House, body: object, status: int) -> None:
    assert (await error(await house.client.post("/api/sessions", json=body)))[0] == status
    assert house.sessions.opened == {}


async def test_a_body_that_is_no_json_gets_one_line(house: House) -> None:
    assert (await error(await house.client.post("/api/sessions", data=b"\x00{")))[0] == 400


async def test_one_session_too_many_is_refused_with_503(house: House) -> None:
    for _ in range(house.sessions.room):
        await house.open()
    status, line = await error(await house.client.post("/api/sessions", json={"portrait": "amara"}))
    assert (status, "room" in line) == (503, True)


async def test_a_gpu_without_memory_is_one_session_too_many_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object) -> None:
        raise OutOfDeviceMemory("the GPU's memory is full: end what fills it")

    monkeypatch.setattr(house.sessions, "open", full)
    answer = await house.client.post("/api/sessions", json={"portrait": "amara"})
    assert await error(answer) == (503, "the GPU's memory is full: end what fills it")


async def open_again(house: House, secret: str, **wishes: object) -> ClientResponse:
    body = {"portrait": "amara", "id": "my-face", **wishes}
    return await house.client.post("/api/sessions", json=body, headers={"Authorization": f"Bearer {secret}"})


async def test_who_has_the_secret_comes_back_to_the_session_and_nobody_else(house: House) -> None:
    session = await (await house.client.post("/api/sessions", json={"portrait": "amara", "id": "my-face"})).json()
    status, line = await error(await house.client.post("/api/sessions", json={"portrait": "amara", "id": "my-face"}))
    assert (status, "another" in line) == (409, True)
    live = house.sessions.opened["my-face"]
    async with house.client.ws_connect(session["events"]):
        again = await open_again(house, session["resume"], portrait="mei")
    assert (again.status, (await again.json())["resume"]) == (200, session["resume"])
    assert house.sessions.opened["my-face"] is live
    assert live.settings.portrait == "mei"


async def test_what_comes_back_otherwise_is_opened_anew(house: House) -> None:
    session = await (await house.client.post("/api/sessions", json={"portrait": "amara", "id": "my-face"})).json()
    live = house.sessions.opened["my-face"]
    assert (await open_again(house, session["resume"], size=256)).status == 201
    assert live.closed
    assert house.sessions.opened["my-face"].settings.size == 256


async def test_the_secret_survives_the_session_but_not_its_end_by_whoever_holds_it(house: House) -> None:
    session = await (await house.client.post("/api/sessions", json={"portrait": "amara", "id": "my-face"})).json()
    await house.app[HOUSE].desk.end("my-face", keep=True)  # as when it was abandoned
    assert (await error(await house.client.post("/api/sessions", json={"portrait": "amara", "id": "my-face"})))[0] == 409
    assert (await open_again(house, session["resume"])).status == 201
    assert (await house.client.delete("/api/sessions/my-face")).status == 204
    assert (await error(await open_again(house, session["resume"])))[0] == 401
    assert await house.open(id="my-face") == "my-face"


async def test_one_client_has_no_more_than_its_share() -> None:
    house = House(ServerConfig(sessions_per_client=1))
    async with house.client as client:
        await house.open()
        status, line = await error(await client.post("/api/sessions", json={"portrait": "amara"}))
        assert (status, "end one first" in line) == (429, True)


async def test_a_server_that_is_about_to_end_tells_its_pages_and_opens_nothing(house: House) -> None:
    name = await house.open()
    async with house.client.ws_connect(f"/api/sessions/{name}/events") as socket:
        await house.app[HOUSE].drain(8)
        assert "end in 8 s" in await next_error(socket)
    assert (await error(await house.client.get("/readyz")))[0] == 503
    assert (await error(await house.client.post("/api/sessions", json={"portrait": "amara"})))[0] == 503


async def test_the_socket_tells_the_status_and_takes_commands(house: House) -> None:
    name = await house.open()
    session = house.sessions.opened[name]
    async with house.client.ws_connect(f"/api/sessions/{name}/events") as socket:
        status = (await socket.receive_json())["status"]
        assert status["state"] == "live"
        assert status["stages_ms"]["queue"] == {"p50": 18.0}
        await socket.send_json({"control": {"channels": {"jawOpen": 0.5, "yaw": None}, "idle": False}})
        await socket.send_json({"control": {"preset": "smile"}})
        await socket.send_json({"interrupt": True})
        await socket.send_json({"control": {"portrait": "mei"}})
        for bad in ({"nothing": 1}, {"control": {"mouth_gain": 9}}, {"sample": "unheard"}, []):
            await socket.send_json(bad)
            assert "\n" not in await next_error(socket)
        await socket.send_str('{"control": {"channels": {"jawOpen": NaN}}}')
        assert await next_error(socket)
        session.fail_with = "no channel is called 'jaw'"
        await socket.send_json({"control": {"channels": {"jaw": 1}}})
        assert await next_error(socket) == "no channel is called 'jaw'"
    assert session.changes == [
        {"channels": {"jawOpen": 0.5, "yaw": None}, "idle": False}, {"preset": "smile"}, {"portrait": "mei"},
    ]  # fmt: skip
    assert session.interrupts == 1


async def test_the_socket_takes_what_is_said_of_the_camera(house: House) -> None:
    name = await house.open()
    session = house.sessions.opened[name]
    async with house.client.ws_connect(f"/api/sessions/{name}/events") as socket:
        status = (await socket.receive_json())["status"]
        assert (status["camera"]["source"], status["camera"]["state"]) == ("browser", "off")
        assert status["factors"]["lips"] == "voice"
        wanted = {"camera": "off", "factors": {"pose": "still"}, "neutral": True, "eye_contact": True}
        await socket.send_json({"control": wanted})
        for bad in ({"camera": "webcam"}, {"factors": {"pose": "moon"}}, {"neutral": False}, {"eye_contact": 7}):
            await socket.send_json({"control": bad})
            assert "\n" not in await next_error(socket)
        assert session.changes == [wanted]


async def test_the_outline_is_told_to_a_page_that_asked_until_it_leaves(house: House) -> None:
    name = await house.open()
    session = house.sessions.opened[name]
    async with house.client.ws_connect(f"/api/sessions/{name}/events") as socket:
        await socket.send_json({"outline": True})
        await socket.send_json({"nothing": 1})
        await next_error(socket)
        assert session.draw is not None
        session.draw(np.array([[0.25, 0.123456]], np.float32))
        while "outline" not in (message := await socket.receive_json()):
            pass
        assert message == {"outline": [[0.25, 0.1235]]}
    assert session.draw is None


async def test_a_camera_of_this_machine_must_have_been_offered(house: House) -> None:
    status, line = await error(await house.client.post("/api/sessions", json={"portrait": "amara", "camera": "machine"}))
    assert (status, "--camera" in line) == (400, True)
    name = await house.open(camera="off")
    assert house.sessions.opened[name].changes == [{"camera": "off"}]


async def next_error(socket: object) -> str:
    while "error" not in (message := await socket.receive_json()):  # pyright: ignore[reportAttributeAccessIssue]
        pass
    return message["error"]


async def test_the_socket_closes_when_its_session_ends(house: House) -> None:
    name = await house.open()
    async with house.client.ws_connect(f"/api/sessions/{name}/events") as socket:
        await socket.receive_json()
        ending = asyncio.create_task(house.client.delete(f"/api/sessions/{name}"))
        while (message := await socket.receive()).type is WSMsgType.TEXT:
            pass
        assert socket.close_code == 4404
        assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
        assert (await ending).status == 204


async def test_a_source_of_the_machine_that_ends_tells_the_page_why() -> None:
    end = asyncio.Event()

    async def unplugged(push: Push) -> None:
        push(np.zeros(480, np.float32), 0.0)
        await end.wait()
        raise AudioError("the microphone has ended; is it still connected?")

    house = House(feeds={"microphone": unplugged})
    async with house.client as client:
        assert (await (await client.get("/api/options")).json())["sources"] == ["browser", "microphone"]
        name = await house.open(source="microphone")
        async with client.ws_connect(f"/api/sessions/{name}/events") as socket:
            await socket.receive_json()
            end.set()
            assert await next_error(socket) == "the microphone has ended; is it still connected?"
        assert house.sessions.opened[name].pushed == [480]


# -- token ------------------------------------------------------------------------------------------------------------


async def test_with_a_token_nothing_but_health_answers_without_it() -> None:
    house = House(ServerConfig(token=TOKEN))
    async with house.client as client:
        assert (await client.get("/livez")).status == 200
        assert (await error(await client.get("/api/portraits")))[0] == 401
        assert (await error(await client.post("/api/sessions?token=" + TOKEN, json={"portrait": "amara"})))[0] == 401
        assert (await error(await client.get("/api/portraits?token=wrong")))[0] == 401
        page = await client.get("/", headers={"Accept": "text/html"})
        assert page.status == 401
        assert 'action="/login"' in await page.text()
        assert (await client.get("/api/portraits", headers={"Authorization": f"Bearer {TOKEN}"})).status == 200


async def test_the_printed_address_makes_a_cookie_and_hides_the_token() -> None:
    house = House(ServerConfig(token=TOKEN))
    async with house.client as client:
        answer = await client.get(f"/?token={TOKEN}&x=1", allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (303, "/?x=1")
        cookie = answer.cookies["mien"]
        assert TOKEN not in cookie.value
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        async with ClientSession(cookies={"mien": cookie.value}) as browser:
            assert (await browser.get(client.make_url("/api/portraits"))).status == 200


async def test_the_login_page_takes_the_token() -> None:
    house = House(ServerConfig(token=TOKEN))
    async with house.client as client:
        assert (await client.post("/login", data={"token": TOKEN}, allow_redirects=False)).status == 303
        assert (await client.post("/login", data={"token": "x"}, headers={"Origin": "http://evil.example"})).status == 403
