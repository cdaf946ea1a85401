"""`mien serve`: the page, the workers and the peers, until Ctrl+C."""

import argparse
import ipaddress
import os
from pathlib import Path
from typing import Any

from streaming.cli import ice, publish, renderer
from streaming.config import DEFAULT_PORT, RATES, SIZES, ServerConfig

SPEECH_DEFAULT = ""  # --microphone without a device
CAMERA_DEFAULT = ""  # --camera likewise


def add_parser(subparsers: Any) -> None:
    """Add this command to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser("serve", help="open the avatar's page in your browser and talk")
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on; others than loopback need --token and a certificate")
    add("--port", type=int, default=DEFAULT_PORT, help=f"port of the page, default {DEFAULT_PORT}")
    add("--size", type=int, default=512, choices=SIZES, help="height and width of the picture in px, default 512")
    add("--fps", type=int, default=25, choices=RATES, help="pictures per second, default 25")
    renderer.add_arguments(parser)
    add("--workers", type=int, metavar="N", help="rendering processes; default: as many as use the cores")
    add("--microphone", nargs="?", const=SPEECH_DEFAULT, metavar="DEVICE", help="offer this machine's own microphone too")
    add("--audio", metavar="FILE", help="offer a sound file or stream as a voice")
    add(
        "--camera",
        nargs="?",
        const=CAMERA_DEFAULT,
        metavar="DEVICE|FILE|URL",
        help="offer this machine's own camera, or a film or stream in its place, to drive the face with",
    )
    add("--portrait", metavar="ID", help="the face that is chosen when the page opens")
    add("--head-style", type=Path, metavar="CLIP", help="move the heads as the person in this clip does: 3 s or more of talk")
    add("--portraits", type=Path, metavar="DIR", help="folder of your own portraits; default: ~/.local/share/mien/portraits")
    add("--no-badge", action="store_true", help="do not mark the picture as synthetic; say so elsewhere then")
    add("--token", default=os.environ.get("MIEN_TOKEN"), help="what a browser must show; also as MIEN_TOKEN")
    add("--certificate", type=Path, metavar="PEM", help="certificate for https")
    add("--key", type=Path, metavar="PEM", help="its private key")
    ice.add_arguments(parser)
    publish.add_arguments(parser)
    add("--allow-host", action="append", default=[], metavar="NAME", help="a further name of this server, as of its proxy")
    proxy = (
        "a proxy in front of this server, as 127.0.0.1 or 10.0.0.0/8: it tells by X-Forwarded-For whose requests it passes on"
    )
    add("--trust-proxy", action="append", default=[], type=_network, metavar="ADDRESS", help=proxy)
    add("--allow-origin", action="append", default=[], metavar="ORIGIN", help="another page that may use it: https://NAME")
    add(
        "--admission-key",
        default=os.environ.get("MIEN_ADMISSION_KEY"),
        metavar="KEY",
        help="shared with a broker that issues admissions; also as MIEN_ADMISSION_KEY",
    )
    add("--sessions-per-client", type=int, default=16, metavar="N", help="of one address, default 16")
    add("--drain-s", type=float, default=8.0, metavar="S", help="what sessions are left after SIGTERM, default 8 s")
    add("--open", action="store_true", help="open the page in the browser")


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted; return the exit status."""
    from streaming import styles  # heavy

    drawn = renderer.chosen(args)
    config = ServerConfig(
        host=args.host,
        port=args.port,
        size=args.size,
        fps=args.fps,
        renderer=drawn.renderer,
        models=drawn.models,
        device=drawn.device,
        look_ahead_ms=drawn.look_ahead_ms,
        canonical=drawn.canonical,
        workers=args.workers,
        microphone=args.microphone,
        audio=args.audio,
        camera=args.camera,
        portrait=args.portrait,
        badge=not args.no_badge,
        head_style=styles.chosen(args.head_style),
        portraits=args.portraits,
        token=args.token or None,
        certificate=args.certificate,
        key=args.key,
        hosts=frozenset(name.lower() for name in args.allow_host),
        origins=frozenset(origin.lower().rstrip("/") for origin in args.allow_origin),
        proxies=tuple(args.trust_proxy),
        admission_key=args.admission_key or None,
        sessions_per_client=args.sessions_per_client,
        drain_s=args.drain_s,
        ice_servers=ice.chosen(args),
        publish=publish.chosen(args),
    )
    from streaming import server  # heavy

    def greet(address: str) -> None:
        print(f"mien is at {address}   (Ctrl+C ends it)", flush=True)
        if args.open:
            import webbrowser

            webbrowser.open(address)

    server.serve(config, greet)
    return 0


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected an address or a network like 10.0.0.0/8, got {text!r}") from error
