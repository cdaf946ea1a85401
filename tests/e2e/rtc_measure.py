"""How late and how well synchronised a browser shows what the server sends, and hears what it is told.

    python -m tests.e2e.rtc_measure --codec VP8 --seconds 20 --hold 30 --no-playout-delay

Real Chromium on loopback against a `ClockSession`: no face model, the floor of
the transport alone. Prints percentiles.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import web

from benchmarks.chromium import FLAGS
from streaming.rtc.peer import Peers, RtcConfig
from streaming.rtc.routes import add_routes
from streaming.rtc.stats import peer_stats
from streaming.worker.ladder import step_at
from tests.e2e.rtc_fakes import BITS, ClockSession, Sessions

CHROMIUM = os.environ.get("MIEN_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome") or ""
NEAR_MS = 200  # a picture so near to a click says how late pictures were then, if the click's own was left out
PAGE = Path(__file__).with_name("rtc_page.html")


@dataclass
class Stand:
    """A server with one session, and where it answers."""

    session: ClockSession
    peers: Peers
    url: str


async def _page(_: web.Request) -> web.Response:
    return web.Response(text=PAGE.read_text(), content_type="text/html")


@contextlib.asynccontextmanager
async def served(config: RtcConfig | None = None, **settings: Any) -> AsyncIterator[Stand]:
    session = ClockSession(**settings)
    app = web.Application()
    peers = add_routes(app, Sessions(session), config)
    app.router.add_get("/", _page)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield Stand(session, peers, f"http://127.0.0.1:{port}/")
    finally:
        await session.close()
        await runner.cleanup()


@contextlib.asynccontextmanager
async def chromium(url: str, *, microphone: bool = True) -> AsyncIterator[Any]:
    """A page of a new Chromium that has opened `url`."""
    from playwright.async_api import async_playwright

    profile = tempfile.mkdtemp()
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, headless=True, args=list(FLAGS)
        )
        try:
            if microphone:
                await context.grant_permissions(["microphone"], origin=url.rstrip("/"))
            page = await context.new_page()
            await page.goto(url)
            yield page
        finally:
            await context.close()
            shutil.rmtree(profile, ignore_errors=True)


@dataclass
class Watched:
    """What a browser saw and heard, in milliseconds."""

    display_delay: np.ndarray[Any, np.dtype[np.float64]]
    audio_delay: np.ndarray[Any, np.dtype[np.float64]]
    skew: np.ndarray[Any, np.dtype[np.float64]]
    raw: dict[str, Any] = field(repr=False)


def evaluated(raw: dict[str, Any], session: ClockSession, warm_up_frames: int = 75) -> Watched:
    """Delays from the instant of emission; skew is positive when the sound is early."""
    modulus = 1 << BITS
    frames = np.array(raw["frames"][min(warm_up_frames, len(raw["frames"]) // 3) :], float)
    shown = (frames[:, 0] - frames[:, 1] + modulus / 2) % modulus - modulus / 2
    emitted = np.array(sorted(session.clicks_ms.values()))
    audio, skew = [], []
    for click in raw["clicks"]:
        before = emitted[emitted <= click]
        if len(before) == 0 or click < frames[0, 0]:
            continue
        audio.append(click - before[-1])
        mark = before[-1] % modulus
        apart = np.abs(frames[:, 1] - mark)
        if apart.min() <= NEAR_MS:
            skew.append(float(shown[apart.argmin()] - audio[-1]))
    return Watched(shown, np.array(audio), np.array(skew), raw)


def say(*things: object) -> None:
    sys.stdout.write(" ".join(map(str, things)) + "\n")


def line(name: str, values: Any) -> str:
    if len(values) == 0:
        return f"{name}: none"
    p = np.percentile(values, (1, 50, 95, 99))
    return f"{name}: p1 {p[0]:.1f} p50 {p[1]:.1f} p95 {p[2]:.1f} p99 {p[3]:.1f} max {np.max(values):.1f} n {len(values)}"


async def climb(session: ClockSession, seconds: float) -> None:
    """Down the ladder and up again, in so many seconds."""
    levels = [*range(7), *range(5, -1, -1)]
    for level in levels:
        session.step = step_at(level, session.settings, scales=True)
        await asyncio.sleep(seconds / len(levels))


async def watch(seconds: float, config: RtcConfig, *, steps: bool = False, **settings: Any) -> None:
    async with served(config, **settings) as stand, chromium(stand.url) as page:
        climbing = asyncio.create_task(climb(stand.session, seconds + 3 if steps else 0.0))
        raw = await page.evaluate(f"watch('/whep/s', {seconds}, {stand.session.settings.size})")
        climbing.cancel()
        seen = evaluated(raw, stand.session)
        say(line("display delay ms", seen.display_delay))
        say(line("audio delay ms", seen.audio_delay))
        say(line("A/V skew ms (sound early +)", seen.skew))
        say(
            f"after the page began: offer {raw['offering']:.0f}, answered {raw['answered']:.0f},",
            f"connected {raw.get('connected', 0):.0f}, first frame {raw['ttff']:.0f} ms",
        )
        half = len(seen.skew) // 2
        say(line("skew second half", seen.skew[half:]))
        server = peer_stats(stand.peers, "s")
        say("server", {k: {n: round(v, 2) for n, v in s.items()} for k, s in server.stages_ms.items()})
        say(server.pictures, server.keys, "skipped", server.skipped, "bitrate", server.bitrate_bps)
        for peer in server.peers:
            say(*peer.sent.values())
        for stats in raw["stats"]:
            if stats["type"] == "codec":
                say(stats["mimeType"], stats.get("sdpFmtpLine"))
            if stats["type"] == "inbound-rtp":
                count = stats.get("jitterBufferEmittedCount") or 1
                wanted = (
                    "kind framesDecoded framesDropped freezeCount keyFramesDecoded packetsLost jitter bytesReceived"
                    " concealedSamples totalSamplesReceived insertedSamplesForDeceleration removedSamplesForAcceleration"
                    " pliCount nackCount"
                )
                say(
                    {k: stats[k] for k in wanted.split() if k in stats},
                    f"jitter buffer {1000 * stats.get('jitterBufferDelay', 0) / count:.1f} ms",
                    f"decode {1000 * stats.get('totalDecodeTime', 0) / max(1, stats.get('framesDecoded', 1)):.2f} ms",
                )


async def speak(seconds: float) -> None:
    async with served() as stand, chromium(stand.url) as page:
        task = asyncio.ensure_future(page.evaluate(f"speak('/whip/s', {seconds})"))
        raw = await task
        say(line("click to push_audio ms", heard(raw["clicks"], stand.session)))
        sound = sum(len(samples) for samples, _ in stand.session.pushed) / 48_000
        span = stand.session.pushed[-1][1] - stand.session.pushed[0][1]
        say(f"sound {sound:.2f} s in {span:.2f} s, {len(stand.session.pushed)} pushes")
        say(
            [
                {k: s.get(k) for k in ("type", "roundTripTime", "fractionLost", "jitter", "sdpFmtpLine", "packetsSent")}
                for s in raw["stats"]
            ]
        )


def heard(clicks_ms: list[float], session: ClockSession) -> list[float]:
    """Milliseconds from each click of the page to the push that brought it."""
    offset_ms = (time.time() - time.monotonic()) * 1000
    delays: list[float] = []
    last = -1e9
    for samples, arrived in session.pushed:
        at = arrived * 1000 + offset_ms
        if np.abs(samples).max() > 0.25:
            if at - last > 300:
                delays += [at - click for click in clicks_ms if -5 <= at - click < 690][-1:]
            last = at
    return delays


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codec", default="H264", choices=("H264", "VP8"))
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--hold", type=int, default=0)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--no-playout-delay", action="store_true")
    parser.add_argument("--steps", action="store_true", help="walk down the ladder of a busy worker and up again meanwhile")
    parser.add_argument("--speak", action="store_true")
    options = parser.parse_args()
    if options.speak:
        asyncio.run(speak(options.seconds))
        return
    config = RtcConfig(codecs=(options.codec,), playout_delay_ms=None if options.no_playout_delay else (0, 200))
    asyncio.run(
        watch(options.seconds, config, steps=options.steps, picture_hold_ms=options.hold, size=options.size, fps=options.fps)
    )


if __name__ == "__main__":
    main()
