"""`mien bench`: how long does a voice take to become a moving face, and what does it cost?

    --suite engine     voice in -> encoded picture out, no browser (the default)
    --suite voice      40 ms of sound into motion on one core: features and networks
    --suite renderer   one frame on one core, per portrait and size
    --suite browser    voice in a headless Chromium -> picture on its screen, through the real server
    --suite camera     a head turned before a camera in a headless Chromium -> the face on its screen turned
    --suite pdfgc      a frame of PD-FGC's networks on two threads, beside how the public code runs them
    --suite graphs     each network by each backend of --device: cost, and the share of what the device can do
    --suite capacity   how many sessions at once stay within budget, and how many the server lets in
    --suite starts     a page started and stopped again and again: what is left of it, time to the first picture
    --suite soak       the engine's path for minutes: memory, threads, descriptors, drift

End points and definitions: docs/benchmarks.md. The ceiling of `engine` is the
null system, which is printed beside it: the same path with a renderer that does
nothing. Output contract: a table, then as the last line one JSON object

    {"suite", "environment", "settings", "metrics"}

where a distribution is {"p1", "p50", "p95", "p99", "max", "n"}, a count or a
ratio a plain number, and what was not measured null. The exit status is 1 when
a control failed (an injected stall that does not show, a mouth that does not
follow the sound): such figures mean nothing. A missed bar is a result: status 0.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streaming.cli.device import device_named
from streaming.cli.renderer import LOOK_AHEAD_OF
from streaming.contract import LOOK_AHEAD_MS, LOOK_AHEADS_MS

if TYPE_CHECKING:
    from benchmarks.pipeline import PipelineSettings
    from benchmarks.report import Outcome

SUITES = ("engine", "voice", "renderer", "browser", "camera", "pdfgc", "graphs", "capacity", "starts", "soak")
SECONDS = {
    "engine": 30.0, "voice": 60.0, "renderer": 12.0, "browser": 40.0, "camera": 40.0, "pdfgc": 60.0, "graphs": 60.0,
    "capacity": 12.0, "soak": 600.0,
}  # fmt: skip
QUICK_SECONDS = {
    "engine": 5.0, "voice": 4.0, "renderer": 2.0, "browser": 10.0, "camera": 10.0, "pdfgc": 5.0, "graphs": 5.0,
    "capacity": 2.0, "soak": 20.0,
}  # fmt: skip
SIZES = (256, 384, 512, 768)
RATES = (25, 30, 50, 60)


def add_parser(subparsers: Any) -> None:
    """Add this command to the command line."""
    add_options(
        subparsers.add_parser(
            "bench",
            help="measure latency, cost and quality on this machine",
            description=__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Everything that can be asked for."""
    add = parser.add_argument
    add("--suite", choices=SUITES, default="engine", help="what to measure, default engine")
    add("--seconds", type=_positive, help=f"how long, after warm-up; default {_listed(SECONDS)}")
    add("--size", type=int, choices=SIZES, help="px; default 512 (renderer: 512 and 256)")
    add("--fps", type=int, choices=RATES, default=25, help="pictures per second, default 25")
    add(
        "--sessions", type=_sessions, metavar="N", help="at once, default 1; capacity: at most, default as many as have a place"
    )
    add("--workers", type=int, metavar="N", help="worker processes; default: as many as use the cores")
    drawn = "null: nothing is drawn, what is left is the path; pdfgc (engine, capacity) needs --models"
    add("--renderer", choices=("mesh", "null", "pdfgc"), default="mesh", help=drawn)
    networks = "graphs, and pdfgc's: where networks run, default cpu"
    add("--device", type=device_named, default="cpu", metavar="auto|cpu|cuda:N", help=networks)
    folders = "pdfgc: folder of its networks; graphs: folders, default: those that are there"
    add("--models", type=Path, nargs="+", metavar="DIR", help=folders)
    add("--no-encode", action="store_true", help="capacity: leave the encoders out of the sessions and measure them apart")
    add("--codec", choices=("H264", "VP8"), default="H264", help="of the picture, default H264")
    add("--portrait", metavar="ID", help="a portrait that ships, or a .mien file; default: the first (renderer: all)")
    add("--audio", type=Path, metavar="FILE", help="the voice; default: the sample that ships")
    ahead = f"of the voice driver, default {LOOK_AHEAD_MS}, pdfgc {LOOK_AHEAD_OF['pdfgc']}"
    add("--look-ahead-ms", type=int, choices=LOOK_AHEADS_MS, help=ahead)
    add("--inject-stall-ms", type=float, default=0.0, metavar="MS", help="hold up one frame in 25: it must show")
    add("--inject-ppm", type=float, default=0.0, metavar="PPM", help="run the server's media clock this much too fast")
    add("--picture-hold-ms", type=int, metavar="MS", help="browser: how much later than its sound a picture leaves, 0 to 100")
    starts = "browser: starts to take the time to first frame of, default 50; starts: how many, default 500"
    add("--starts", type=int, metavar="N", help=starts)
    links = "browser: the line to the page: clean, 1%%, 5%%, 10%%, bursts, rate-step, blackhole-2, -8, -40, or spelled out"
    add("--link", type=_link, metavar="LINE", help=f'{links}: "loss=1,delay=25; @10 rate=300" (see benchmarks/link.py)')
    add("--beside-plain", action="store_true", help="browser: watch a plain aiortc server after it")
    add("--browser", action="store_true", help="soak: watch it in Chromium as well")
    add("--json", type=Path, metavar="FILE", help="write the last line to a file, too")
    add("--plots", type=Path, metavar="DIR", help="draw PNG plots into a folder")
    add("--quick", action="store_true", help="a few seconds only, for a first look: the figures are coarse")


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m benchmarks.run`, or `python benchmarks/run.py`."""
    parser = argparse.ArgumentParser(
        prog="mien bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    args = parser.parse_args(argv)
    from engine.errors import MienError

    try:
        return run(args)
    except MienError as error:
        print(f"mien: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def run(args: argparse.Namespace) -> int:
    """Run a suite; return the exit status."""
    from benchmarks import report
    from benchmarks.environment import Busy

    if args.plots:
        args.plots.mkdir(parents=True, exist_ok=True)
    if args.suite != "graphs":
        _models(args)
    busy = Busy()
    suites = {
        "engine": _engine, "voice": _voice, "renderer": _renderer, "browser": _browser, "camera": _camera, "pdfgc": _pdfgc,
        "graphs": _graphs, "capacity": _capacity, "starts": _starts, "soak": _soak,
    }  # fmt: skip
    outcome = suites[args.suite](args)
    report.show(args.suite, outcome, report.document(args.suite, outcome, busy.summary()), args.json)
    return 1 if outcome.failures else 0


def _engine(args: argparse.Namespace) -> "Outcome":
    from benchmarks import engine_suite, inputs

    settings = _pipeline_settings(args)
    voice = inputs.voice(args.audio or inputs.sample())
    outcome, found = engine_suite.run_suite(settings, voice, null_s=3.0 if args.quick else 8.0)
    if args.plots:
        from benchmarks import plots

        outcome.lines += plots.engine(found, args.plots)
    return outcome


def _voice(args: argparse.Namespace) -> "Outcome":
    from benchmarks import inputs, voice_suite

    return voice_suite.run_suite(inputs.voice(args.audio or inputs.sample()), _seconds(args), _look_ahead_ms(args))


def _renderer(args: argparse.Namespace) -> "Outcome":
    from benchmarks import inputs, renderer_suite

    quick: bool = args.quick
    files = [inputs.portrait(args.portrait)] if args.portrait or quick else list(inputs.portraits().values())
    sizes = [args.size] if args.size else [512, 256]
    frames = round(_seconds(args) * args.fps)
    voice = inputs.voice(args.audio or inputs.sample())
    return renderer_suite.run_suite(files or [inputs.portrait(None)], sizes, voice, frames, args.fps, _look_ahead_ms(args))


def _browser(args: argparse.Namespace) -> "Outcome":
    from benchmarks import browser_suite

    usual = 0 if args.link else 5 if args.quick else 50
    starts = usual if args.starts is None else args.starts
    settings = _pipeline_settings(args)
    return browser_suite.run_suite(settings, starts, args.plots, link=args.link, beside_plain=args.beside_plain)


def _camera(args: argparse.Namespace) -> "Outcome":
    from benchmarks import camera_suite

    return camera_suite.run_suite(_pipeline_settings(args))


def _pdfgc(args: argparse.Namespace) -> "Outcome":
    from benchmarks import pdfgc_suite

    return pdfgc_suite.run_suite(_seconds(args))


def _graphs(args: argparse.Namespace) -> "Outcome":
    from benchmarks import graphs_suite

    folders = args.models or graphs_suite.FOLDERS
    return graphs_suite.run_suite(args.device, _seconds(args), folders=folders, plots=args.plots)


def _capacity(args: argparse.Namespace) -> "Outcome":
    from benchmarks import capacity_suite, inputs

    voice = inputs.voice(args.audio or inputs.sample())
    return capacity_suite.run_suite(_pipeline_settings(args), voice, args.sessions, args.plots)


def _starts(args: argparse.Namespace) -> "Outcome":
    from benchmarks import starts_suite

    cycles = args.starts or (10 if args.quick else 500)
    return starts_suite.run_suite(_pipeline_settings(args), cycles, args.plots)


def _soak(args: argparse.Namespace) -> "Outcome":
    from benchmarks import inputs, soak_suite

    voice = inputs.voice(args.audio or inputs.sample())
    return soak_suite.run_suite(_pipeline_settings(args), voice, args.plots, browser=args.browser)


def _pipeline_settings(args: argparse.Namespace) -> "PipelineSettings":
    from benchmarks import inputs
    from benchmarks.pipeline import PipelineSettings
    from engine.runtime import placement

    models = _models(args)
    return PipelineSettings(
        portrait=inputs.portrait(args.portrait),
        seconds=_seconds(args),
        size=args.size or 512,
        fps=args.fps,
        look_ahead_ms=_look_ahead_ms(args),
        sessions=args.sessions or 1,
        workers=args.workers,
        renderer=args.renderer,
        models=models,
        device=placement.chosen(args.device).device if models else placement.CPU,
        encode=not args.no_encode,
        codec=args.codec,
        stall_ms=args.inject_stall_ms,
        ppm=args.inject_ppm,
        picture_hold_ms=args.picture_hold_ms,
    )


def _models(args: argparse.Namespace) -> Path | None:
    """The folder of the renderer's networks, if it has any.

    Raises:
        ModelError: if they are missing, or given to what has none.
    """
    from engine.errors import ModelError

    if args.renderer != "pdfgc":
        if args.models:
            raise ModelError(f"--models is for --renderer pdfgc and --suite graphs; {args.renderer} needs no networks")
        return None
    if args.suite not in ("engine", "capacity"):
        raise ModelError(f"--renderer pdfgc is measured by --suite engine and --suite capacity, not {args.suite}")
    if len(args.models or ()) != 1:
        raise ModelError("--renderer pdfgc needs its networks: --models DIR, one folder")
    return args.models[0]


def _look_ahead_ms(args: argparse.Namespace) -> int:
    return LOOK_AHEAD_OF.get(args.renderer, LOOK_AHEAD_MS) if args.look_ahead_ms is None else args.look_ahead_ms


def _seconds(args: argparse.Namespace) -> float:
    return args.seconds or (QUICK_SECONDS if args.quick else SECONDS).get(args.suite, 0.0)


def _positive(text: str) -> float:
    seconds = float(text)
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"must be positive, got {text}")
    return seconds


def _link(text: str) -> str:
    from benchmarks.link import course

    try:
        course(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _sessions(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"1 to 256; got {text}")
    return int(text)


def _listed(seconds: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in seconds.items())


if __name__ == "__main__":
    if __package__ is None:  # started as a file
        sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    sys.exit(main())
