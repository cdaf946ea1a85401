from aiohttp import ClientSession
from prometheus_client.parser import text_string_to_metric_families

from streaming.config import ServerConfig
from streaming.metrics import Metrics, deepest
from tests.unit.served import TOKEN, House


def samples(text: str) -> dict[str, float]:
    """Every sample without labels, and those with labels by their only label's value."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[":".join([sample.name, *(sample.labels[name] for name in sorted(sample.labels))])] = sample.value
    return found


def test_what_is_reported_is_what_is_read() -> None:
    metrics = Metrics()
    metrics.stage("inference", 8.0)
    metrics.frame(missed=False)
    metrics.frame(missed=True)
    metrics.skew(25.0)
    metrics.lag(0.3)
    metrics.stall()
    metrics.gauge("sessions", "Sessions that are open", lambda: 2)
    read = samples(metrics.exposition().decode())
    assert read["mien_stage_seconds_sum:inference"] == 0.008
    assert (read["mien_stage_seconds_bucket:0.005:inference"], read["mien_stage_seconds_bucket:0.01:inference"]) == (0, 1)
    assert (read["mien_frames_total"], read["mien_deadline_misses_total"]) == (2, 1)
    assert (read["mien_sound_late_seconds_bucket:0.015"], read["mien_sound_late_seconds_bucket:0.03"]) == (0, 1)
    assert (read["mien_loop_lag_seconds_sum"], read["mien_loop_stalls_total"]) == (0.3, 1)
    assert read["mien_sessions"] == 2


def test_two_servers_in_a_process_have_figures_of_their_own() -> None:
    one, other = Metrics(), Metrics()
    one.frame(missed=False)
    assert samples(other.exposition().decode())["mien_frames_total"] == 0


def test_the_deepest_buffer() -> None:
    assert deepest([]) == 0
    assert deepest([20.0, 60.0]) == 0.06


async def test_they_are_the_operators() -> None:
    house = House(ServerConfig(token=TOKEN))
    async with house.client as client:
        assert (await client.get("/metrics")).status == 401
        async with ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as prometheus:
            answer = await prometheus.get(client.make_url("/metrics"))
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            read = samples(await answer.text())
    assert (read["mien_sessions"], read["mien_ready"], read["mien_http_responses_total:401"]) == (0, 1, 1)


async def test_they_count_sessions_and_what_pages_hear() -> None:
    house = House()
    async with house.client as client:
        name = await house.open()
        async with client.ws_connect(f"/api/sessions/{name}/events") as socket:
            await socket.receive_json()
            await socket.send_json({"sound_late_ms": 40})
            await socket.send_json({"nothing": 1})
            while "error" not in await socket.receive_json():
                pass
            read = samples(await (await client.get("/metrics")).text())
        assert (read["mien_sessions"], read["mien_pages"], read["mien_voice_buffer_seconds"]) == (1, 1, 0.02)
        assert (read["mien_sound_late_seconds_bucket:0.03"], read["mien_sound_late_seconds_bucket:0.04"]) == (0, 1)
