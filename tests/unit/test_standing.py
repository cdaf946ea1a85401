import pytest

from streaming.contract import SessionSettings, Step
from streaming.metrics import Metrics
from streaming.worker.ladder import name_of, step_at
from streaming.worker.standing import Standing
from tests.unit.test_server_metrics import samples

SETTINGS = SessionSettings("mei")


def test_steps_are_told_to_the_page_the_log_and_the_figures(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    standing = Standing("s", SETTINGS, metrics)
    standing.begin()
    assert standing.step is None
    standing.take(Step(20, 512))
    standing.take(Step(15, 384))
    assert standing.step == Step(15, 384)
    read = samples(metrics.exposition().decode())
    assert (read["mien_sessions_at_step:full"], read["mien_sessions_at_step:4/5"], read["mien_sessions_at_step:384 px"]) == (
        0,
        0,
        1,
    )
    standing.take(Step(25, 512))
    assert standing.step is None
    standing.end()
    read = samples(metrics.exposition().decode())
    assert (read["mien_sessions_at_step:full"], read["mien_sessions_at_step:384 px"]) == (0, 0)
    assert (read["mien_steps_total:down"], read["mien_steps_total:up"]) == (2, 1)
    assert [record.getMessage() for record in caplog.records][1:] == [
        "session s: 15 of 25 pictures a second, 384 px, as its worker is too busy for more",
        "session s: 25 of 25 pictures a second, 512 px, as there is time for it again",
    ]


def test_a_worker_that_begins_anew_begins_in_full() -> None:
    metrics = Metrics()
    standing = Standing("s", SETTINGS, metrics)
    standing.begin()
    standing.take(Step(0, 256))
    standing.begin()
    assert standing.step is None
    read = samples(metrics.exposition().decode())
    assert (read["mien_sessions_at_step:full"], read["mien_sessions_at_step:still"]) == (1, 0)


def test_every_step_has_its_name() -> None:
    names = [name_of(step_at(level, SETTINGS, scales=True), SETTINGS) for level in range(7)]
    assert names == ["full", "4/5", "3/5", "3/5", "384 px", "256 px", "still"]
