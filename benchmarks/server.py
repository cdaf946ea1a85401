"""The real server for the browser suite: `mien serve` itself, whose workers paint a clock into their pictures."""

import argparse
import dataclasses

from benchmarks.studio import STUDIOS
from streaming import server
from streaming.app import Parts
from streaming.config import ServerConfig
from streaming.contract import LOOK_AHEAD_MS, SessionSettings
from streaming.live import Live
from streaming.portraits import PortraitLibrary
from streaming.remote import Remote
from streaming.worker.options import WorkerOptions


class HeldLive(Live):
    """Opens sessions with another hold of the picture than the product's, when one is asked for."""

    picture_hold_ms: int | None = None

    async def open(self, settings: SessionSettings, session_id: str | None = None) -> Remote:
        """See `Live`."""
        if self.picture_hold_ms is not None:
            settings = dataclasses.replace(settings, picture_hold_ms=self.picture_hold_ms)
        return await super().open(settings, session_id)


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
    product = server.real_parts

    def parts(config: ServerConfig) -> Parts:
        library = PortraitLibrary(config.portraits)
        warm = library.path(config.portrait or library.all()[0].id)
        options = WorkerOptions(studio=STUDIOS[args.renderer, True], inject_ppm=args.ppm, warm=str(warm), sizes=(config.size,))
        live = HeldLive(library.path, workers=config.workers, options=options)
        live.picture_hold_ms = args.picture_hold_ms
        return dataclasses.replace(product(config), sessions=live, metrics=live.metrics)

    server.real_parts = parts
    server.serve(config, lambda address: print(address, flush=True))


if __name__ == "__main__":
    main()
