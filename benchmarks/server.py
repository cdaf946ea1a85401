"""The real server for the browser suites: `mien serve` itself, whose workers paint a clock into their pictures.

With `--plain` a plain aiortc server stands in its place (`benchmarks.plain`), with the same workers behind it.
"""

import argparse
import dataclasses

from aiohttp import web

from benchmarks import health, plain
from benchmarks.journal import Journal
from benchmarks.studio import STUDIOS
from streaming import server
from streaming.app import Parts
from streaming.config import ServerConfig
from streaming.contract import LOOK_AHEAD_MS, LiveSessions, SessionSettings
from streaming.live import Live
from streaming.portraits import PortraitLibrary
from streaming.remote import Remote
from streaming.rtc.routes import PEERS
from streaming.worker.options import WorkerOptions


class BenchLive(Live):
    """Opens sessions as the suite wants them: with another hold of the picture than the product's, with a journal."""

    picture_hold_ms: int | None = None
    journals: dict[str, Journal]
    journaled = False

    async def open(self, settings: SessionSettings, session_id: str | None = None) -> Remote:
        """See `Live`."""
        if self.picture_hold_ms is not None:
            settings = dataclasses.replace(settings, picture_hold_ms=self.picture_hold_ms)
        remote = await super().open(settings, session_id)
        if self.journaled:
            self.journals[remote.id] = Journal(remote)
        return remote


def main() -> None:
    """Serve until told to end; the first line printed is the page's address."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description=__doc__)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--look-ahead-ms", type=int, default=LOOK_AHEAD_MS)
    parser.add_argument("--portrait")
    parser.add_argument("--renderer", default="mesh")
    parser.add_argument("--ppm", type=float, default=0.0)
    parser.add_argument("--picture-hold-ms", type=int)
    parser.add_argument("--journal", action="store_true", help="note what sessions hear and bring out")
    parser.add_argument("--plain", action="store_true", help="aiortc as it comes instead of the product's own media path")
    args = parser.parse_args()
    config = ServerConfig(
        port=0,
        size=args.size,
        fps=args.fps,
        look_ahead_ms=args.look_ahead_ms,
        workers=args.workers,
        portrait=args.portrait,
        sessions_per_client=1_000,  # what the machine carries is measured, not what a client may have
    )
    live = _live(args, config)
    if args.plain:
        settings = SessionSettings(args.portrait, args.size, args.fps, args.look_ahead_ms, picture_hold_ms=0)
        plain.serve(live, settings, live.journals, lambda address: print(address, flush=True))
        return
    _replace_parts(live)
    server.serve(config, lambda address: print(address, flush=True))


def _live(args: argparse.Namespace, config: ServerConfig) -> BenchLive:
    library = PortraitLibrary(config.portraits)
    warm = library.path(config.portrait or library.all()[0].id)
    options = WorkerOptions(studio=STUDIOS[args.renderer, True], inject_ppm=args.ppm, warm=str(warm), sizes=(config.size,))
    live = BenchLive(library.path, workers=config.workers, options=options)
    live.picture_hold_ms = args.picture_hold_ms
    live.journals, live.journaled = {}, args.journal
    return live


def _replace_parts(live: BenchLive) -> None:
    """Have the server serve these sessions, and tell of itself."""
    product = server.real_parts

    def parts(config: ServerConfig) -> Parts:
        real = product(config)

        def add_peers(app: web.Application, sessions: LiveSessions) -> None:
            real.add_peers(app, sessions)
            health.add_routes(app, health.of_peers(app[PEERS], live.all), live.journals)

        return dataclasses.replace(real, sessions=live, metrics=live.metrics, add_peers=add_peers)

    server.real_parts = parts


if __name__ == "__main__":
    main()
