"""Real worker processes: killed, frozen, filled up, ended."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from engine.errors import PortraitError
from streaming.camera.cameras import Cameras
from streaming.camera.machine import PictureFeed
from streaming.contract import CapacityReached, Outgoing, OutgoingSound, SessionSettings, now
from streaming.live import OPEN_S, Live
from streaming.remote import Remote
from streaming.worker import pool
from streaming.worker.options import WorkerOptions
from tests.e2e.rtc_client import PATIENCE_S, until

STUDIO = WorkerOptions(studio="tests.fake_studio:FakeStudio", warm="grey-50", sizes=(256,))


def settings(portrait: str = "grey-80") -> SessionSettings:
    return SessionSettings(portrait, size=256, badge=False)


@asynccontextmanager
async def running(
    workers: int = 1,
    options: WorkerOptions = STUDIO,
    cameras: Cameras | None = None,
    own_camera: PictureFeed | None = None,
) -> AsyncIterator[Live]:
    live = Live(Path, workers=workers, options=options, cameras=cameras, own_camera=own_camera)
    await live.start()
    try:
        await until(lambda: all(worker.ready for worker in live.pool.workers), 2 * PATIENCE_S)
        yield live
    finally:
        pids = [worker.pid for worker in live.pool.workers]
        await live.close()
        assert not [pid for pid in pids if pid is not None and psutil.pid_exists(pid)]


@asynccontextmanager
async def speaking(session: Remote) -> AsyncIterator[None]:
    """A tone goes into the session in real time."""
    tone = (0.5 * np.sin(2 * np.pi * 200 * np.arange(960) / 48_000)).astype(np.float32)

    async def speak() -> None:
        anchor, k = now(), 0
        while True:
            k += 1
            await asyncio.sleep(max(0.0, anchor + 0.02 * k - now()))
            session.push_audio(tone, now())

    task = asyncio.create_task(speak())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def collect(session: Remote, frames: int) -> list[Outgoing]:
    """The next frames, with pictures of their own."""
    got: list[Outgoing] = []
    async with asyncio.timeout(PATIENCE_S):
        async for outgoing in session.subscribe():
            assert not outgoing.video.flags.writeable
            got.append(replace(outgoing, video=outgoing.video.copy()))
            if len(got) == frames:
                break
    return got


async def heard(session: Remote, pieces: int = 30) -> NDArray[np.int16]:
    """The next sound, without a gap."""
    got: list[OutgoingSound] = []
    async with asyncio.timeout(PATIENCE_S):
        async for outgoing in session.listen():
            assert not got or outgoing.start == got[-1].start + len(got[-1].samples)
            got.append(outgoing)
            if len(got) == pieces:
                break
    return np.concatenate([piece.samples for piece in got])


async def fresh(session: Remote, frames: int = 1) -> list[Outgoing]:
    """The next frames that are the worker's own; a loaded machine repeats the picture now and then."""
    got: list[Outgoing] = []
    async with asyncio.timeout(PATIENCE_S):
        async for outgoing in session.subscribe():
            got += [replace(outgoing, video=outgoing.video.copy())] if outgoing.fresh else []
            if len(got) == frames:
                break
    return got


async def comes_to(session: Remote, state: str) -> None:
    await until(lambda: session.status().state == state)


def grey(outgoing: Outgoing) -> int:
    return int(outgoing.video[0, 0])


async def test_a_session_shows_its_portrait_and_plays_its_sound() -> None:
    async with running() as live:
        session = await live.open(settings("grey-80"), "one")
        async with speaking(session):
            frames, sound = await asyncio.gather(collect(session, 40), heard(session, 60))
            await until(lambda: session.status().hearing and -40 < session.status().level_dbfs < -8)
        assert live.get("one") is session
        assert frames[-1].video.shape == (384, 256)
        assert np.abs(sound[-9600:]).max() > 16_000
        assert max(map(grey, frames)) > grey(frames[0])  # the mouth moved
        indices = [frame.index for frame in frames]
        assert indices == sorted(set(indices))
        status = session.status()
        assert status.state in ("live", "recovering")  # a crowded machine may be 200 ms late
        assert {"audio_hold", "queue", "features", "inference", "colour"} <= set(status.stages_ms)


async def test_a_killed_worker_is_back_and_its_sessions_go_on_where_they_were() -> None:
    async with running(workers=2) as live:
        hit = await live.open(settings("grey-80"), "hit")
        spared = await live.open(settings("grey-100"), "spared")
        hit.control(idle=False, channels={"jawOpen": 0.5})
        spared.control(idle=False)
        async with speaking(hit):
            await collect(hit, 10)
            watch, calm = hit.subscribe(), asyncio.create_task(collect(spared, 50))
            before = await anext(watch)
            falls = next(worker for worker in live.pool.workers if hit.settings in worker.settings)
            assert falls.pid is not None
            os.kill(falls.pid, signal.SIGKILL)
            await comes_to(hit, "recovering")
            await comes_to(hit, "live")
            heard = [await anext(watch) for _ in range(5)]
            after = await fresh(hit, 25)
        assert hit.id == "hit"
        assert live.get("hit") is hit
        assert [frame.index for frame in heard] == sorted({frame.index for frame in heard})
        assert heard[0].index > before.index
        assert grey(after[-1]) > 100  # the control survived
        assert {grey(frame) // 100 for frame in await calm} == {1}
        assert all(grey(frame) >= 100 for frame in calm.result())
        assert spared.status().state != "closed"


async def test_a_slow_face_comes_back_too() -> None:
    async with running() as live:
        session = await live.open(settings("slow-20"))
        await collect(session, 10)
        pid = live.pool.workers[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await comes_to(session, "recovering")
        await comes_to(session, "live")
        await fresh(session)


async def test_while_its_worker_is_away_a_session_keeps_its_sound_and_its_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "SILENCE_S", 5.0)  # it is away for longer than the frames below take
    async with running() as live:
        session = await live.open(settings())
        async with speaking(session):
            await collect(session, 25)
            pid = live.pool.workers[0].pid
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)  # alive, and silent
            await comes_to(session, "recovering")
            frames, sound = await asyncio.gather(collect(session, 15), heard(session, 10))
            assert [frame.fresh for frame in frames] == [False] * 15
            assert len({grey(frame) for frame in frames}) == 1
            assert np.abs(sound[4800:]).max() > 16_000
            returning = asyncio.create_task(heard(session, 10_000))  # fails at a gap
            await comes_to(session, "live")
            await fresh(session, 25)
            assert not returning.done(), "the worker goes on with the sample after the understudy's last"
            returning.cancel()
            assert not psutil.pid_exists(pid)  # the stalled one was replaced, not left behind


async def test_an_exception_in_one_session_ends_that_session_alone() -> None:
    async with running() as live:
        steady = await live.open(settings("grey-80"))
        failing = await live.open(settings("crash-20"))
        pid = live.pool.workers[0].pid
        async with asyncio.timeout(PATIENCE_S):
            assert [frame async for frame in failing.subscribe()]
        status = failing.status()
        assert status.state == "closed"
        assert status.reason == "a fault inside mien (RuntimeError: a renderer fell over); its log tells more"
        assert live.get(failing.id) is None
        await fresh(steady)
        assert live.pool.workers[0].pid == pid


async def test_sessions_whose_graphs_run_together_fail_apart() -> None:
    async with running() as live:
        steady, failing = await live.open(settings("asks-90")), await live.open(settings("poison-20"))
        async with asyncio.timeout(PATIENCE_S):
            assert [frame async for frame in failing.subscribe()]
        assert failing.status().reason == "a fault inside mien (RuntimeError: a graph fell over); its log tells more"
        (shown,) = await fresh(steady)
        assert grey(shown) == pytest.approx(16 + 90 * 219 / 255, abs=2)


async def test_a_renderer_that_stalls_takes_no_sound_and_no_picture_from_the_others() -> None:
    async with running() as live:
        steady = await live.open(settings("grey-80"))
        async with speaking(steady):
            before = (await fresh(steady, 25))[-1]
            pid = live.pool.workers[0].pid
            frozen = asyncio.create_task(live.open(settings("freeze-5")))
            await comes_to(steady, "recovering")
            frames, sound = await asyncio.gather(collect(steady, 15), heard(steady, 10))
            assert np.abs(sound[4800:]).max() > 16_000
            assert min(map(grey, frames)) >= 80  # its face
            await until(lambda: live.pool.workers[0].pid not in (None, pid))
            await (await frozen).close()  # it would stall the new one, too
            await comes_to(steady, "live")
            assert (await fresh(steady))[0].index > before.index


async def test_an_overload_costs_pictures_and_their_size_but_no_sound() -> None:
    """60 ms of drawing do not fit into 40 on any machine; they may for fewer and smaller pictures."""
    async with running() as live:
        session = await live.open(SessionSettings("heavy-60", badge=False))
        async with speaking(session):
            watch = session.subscribe()
            frames = [await anext(watch)]
            async with asyncio.timeout(PATIENCE_S):
                while frames[-1].size == 512:
                    frames.append(await anext(watch))
            step = session.status().step
            assert step is not None
            assert (step.fps, step.still) == (15, False)  # it is alone
            assert frames[-1].video.shape == (frames[-1].size * 3 // 2, frames[-1].size)
            await until(lambda: session.status().level_dbfs > -40)
            assert np.abs(await heard(session)).max() > 16_000


async def test_a_worker_keeps_nothing_of_sessions_that_came_and_went() -> None:
    async with running() as live:
        worker = psutil.Process(live.pool.workers[0].pid)
        before_mb = worker.memory_info().rss >> 20
        for _ in range(3):
            session = await live.open(settings("knot-50"))
            await fresh(session, 80)  # long enough for a collector to take it for what stays
            assert worker.memory_info().rss >> 20 > before_mb + 40
            await session.close()
        await until(lambda: worker.memory_info().rss >> 20 < before_mb + 40)


async def test_a_portrait_that_cannot_be_loaded_is_refused_and_leaves_room() -> None:
    async with running() as live:
        with pytest.raises(PortraitError, match="broken is not a portrait"):
            await live.open(settings("broken"), "x")
        assert not live.all()
        await collect(await live.open(settings(), "x"), 3)


async def test_a_change_of_face_shows_and_a_bad_one_changes_nothing() -> None:
    async with running() as live:
        session = await live.open(settings("grey-80"))
        session.control(idle=False)
        assert grey((await collect(session, 10))[-1]) < 90
        session.control(portrait="grey-150")
        async with asyncio.timeout(PATIENCE_S):
            while grey((await collect(session, 1))[0]) < 135:
                pass
        session.control(portrait="broken")
        assert grey((await collect(session, 10))[-1]) > 135


async def test_what_would_not_fit_is_refused_at_once() -> None:
    async with running() as live:
        live.pool.workers[0]._admission.learn(2.0, 2.0, {256: 100})  # pyright: ignore[reportPrivateUsage]
        opened = [await live.open(settings("grey-80"))]
        while live.pool.room_for(settings()):
            opened.append(await live.open(settings("grey-80")))
        begin = now()
        with pytest.raises(CapacityReached, match="no room"):
            await live.open(settings("grey-80"))
        assert now() - begin < OPEN_S / 2  # 50 ms on a machine that does nothing else; waiting for room takes OPEN_S
        await opened[0].close()
        assert opened[0].status().state == "closed"
        assert [frame async for frame in opened[0].subscribe()] == []


async def test_a_barge_in_silences_what_was_said() -> None:
    async with running() as live:
        session = await live.open(settings())
        async with speaking(session):
            await collect(session, 25)
        session.interrupt()
        assert not (await heard(session))[-9600:].any()


async def test_settings_and_ids_are_checked() -> None:
    async with running() as live:
        with pytest.raises(ValueError, match="size"):
            await live.open(SessionSettings("grey-1", size=100))
        with pytest.raises(ValueError, match="id"):
            await live.open(settings(), "../x")
        session = await live.open(settings(), "twice")
        with pytest.raises(ValueError, match="already"):
            await live.open(settings(), "twice")
        with pytest.raises(ValueError, match="jawopen"):
            session.control(channels={"jawopen": 1.0})


async def test_an_injected_stall_shows_in_one_frame_in_25() -> None:
    options = WorkerOptions(studio=STUDIO.studio, warm=STUDIO.warm, sizes=(256,), inject_stall_ms=50)
    async with running(options=options) as live, asyncio.timeout(PATIENCE_S):
        session, frames = await live.open(settings()), list[Outgoing]()
        while not any(f.index % 25 == 24 for f in frames):
            frames += await fresh(session, 30)
    held_up = {f.index for f in frames if f.stamps.inference_end - f.stamps.inference_start > 0.049}
    assert held_up >= {f.index for f in frames if f.index % 25 == 24}


def test_workers_end_with_a_server_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text(
        "import asyncio\n"
        "from pathlib import Path\n"
        "from streaming.live import Live\n"
        "from streaming.worker.options import WorkerOptions\n"
        "async def main():\n"
        "    live = Live(Path, workers=2, options=WorkerOptions(studio='tests.fake_studio:FakeStudio'))\n"
        "    await live.start()\n"
        "    while not all(worker.ready for worker in live.pool.workers):\n"
        "        await asyncio.sleep(0.02)\n"
        "    print(*(worker.pid for worker in live.pool.workers), flush=True)\n"
        "    await asyncio.sleep(1000)\n"
        "asyncio.run(main())\n"
    )
    root = str(Path(__file__).resolve().parents[2])
    with subprocess.Popen(
        [sys.executable, "-W", "error", str(script)], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": root}
    ) as server:
        assert server.stdout is not None
        pids = [int(word) for word in server.stdout.readline().split()]
        assert len(pids) == 2
        server.kill()
    gone, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=PATIENCE_S)
    assert not alive, gone
