"""Runs the application: puts the real parts together, listens, and ends in order."""

import asyncio
import errno
import gc
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from aiohttp import web

from engine.render.pdfgc.networks import check_motion_encoder, found
from engine.runtime import placement
from streaming.api.house import HOUSE, House
from streaming.app import Parts, build_app, build_runner
from streaming.camera.cameras import CameraOptions, Cameras
from streaming.capture import microphone
from streaming.capture.camera import CameraFeed
from streaming.capture.file import FileVoice, SoundReader
from streaming.capture.sample import samples
from streaming.config import Refused, ServerConfig
from streaming.contract import LiveSessions
from streaming.desk import Feed
from streaming.device.device import Device
from streaming.ending import told_to_end
from streaming.guard.door import DOOR, Door
from streaming.live import Live
from streaming.metrics import Metrics
from streaming.portraits import PortraitLibrary
from streaming.publish import Publisher
from streaming.rtc.peer import RtcConfig
from streaming.rtc.routes import add_routes
from streaming.tls import server_context
from streaming.worker.options import STUDIOS, WorkerOptions
from streaming.worker.pool import available_cores

FREEZE_LOOK_S: Final = 0.5
HANDSHAKE_S: Final = 10.0
NEARBY: Final = 20  # ports that are tried when one is taken


def serve(config: ServerConfig, greet: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM, see `streaming.ending`. `greet` is told the page's address as soon as it answers.

    Raises:
        Refused: if the server cannot listen, or an option names something that is not there.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(config, greet))


async def _serve(config: ServerConfig, greet: Callable[[str], None]) -> None:
    context = server_context(config.certificate, config.key) if config.certificate and config.key else None
    with listen(config.host, config.port) as listener:
        app = build_app(config, real_parts(config))
        runner = build_runner(app)
        await runner.setup()
        try:
            server = await _answer(app[DOOR], runner, listener, context)
            greet(address(config, listener.getsockname()[1]))
            freezing = asyncio.create_task(_freeze_when_warm(app[HOUSE]), name="freezing")
            await told_to_end(app[HOUSE], config.drain_s)
            freezing.cancel()
            server.close()
        finally:
            await runner.cleanup()


def real_parts(config: ServerConfig) -> Parts:
    """Workers, WebRTC and portraits as the operator wants them.

    Raises:
        Refused: if the configuration names a portrait that is not there.
    """
    library = PortraitLibrary(config.portraits)
    listed = library.all()
    known = [portrait.id for portrait in listed]
    if not known:
        raise Refused("mien's own portraits are missing; install it again, or clone it with its files")
    if config.portrait is not None and config.portrait not in known:
        raise Refused(f"--portrait {config.portrait}: there is no such face; there are {', '.join(known)}")
    safe = next(
        (portrait.id for portrait in listed if portrait.builtin), known[0]
    )  # a file of the user's may be of an older version
    device = device_of(config)
    workers, options = workers_of(config, library.path(config.portrait or safe), device)

    def add_peers(app: web.Application, sessions: LiveSessions) -> None:
        peers = add_routes(app, sessions, RtcConfig(loopback=config.loopback, ice_servers=config.ice_servers))
        if config.publish is not None:
            Publisher(config.publish, sessions, peers).attach(app)

    metrics = Metrics()
    camera = own_camera(config)
    cameras = Cameras(cameras_of(config))
    live = Live(
        library.path,
        workers=workers,
        options=options,
        cameras=cameras,
        own_camera=camera,
        device=device,
        metrics=metrics,
    )
    return Parts(live, library, add_peers, samples(), own_sources(config), metrics)


def device_of(config: ServerConfig) -> Device | None:
    """The process that has a GPU's networks, where there are networks and they run on one."""
    return Device(config.models, config.device) if config.models is not None and _runs_apart(config.device) else None


def _runs_apart(device: str) -> bool:
    return device.startswith("cuda") or placement.chosen(device).device != placement.CPU


def workers_of(config: ServerConfig, warm: Path, device: Device | None = None) -> tuple[int | None, WorkerOptions]:
    """How many workers (None: as many as use the cores), and what they are started with.

    Networks on a CPU use several cores for one picture, so unless asked for otherwise one worker has them all.
    """
    here = config.models is not None and not _runs_apart(config.device)
    workers = config.workers or (1 if here else None)
    threads = max(1, available_cores() // workers) if here and workers else 1
    models, served = str(config.models or ""), device.address if device else ""
    studio, held = STUDIOS[config.renderer], config.canonical
    sizes = (config.size,)
    return workers, WorkerOptions(studio, models, threads, config.device, served, warm=str(warm), sizes=sizes, canonical=held)


def cameras_of(config: ServerConfig) -> CameraOptions:
    """What the camera process is started with: with the motion encoder of the renderer's networks, if they have one.

    Raises:
        ModelError: if it cannot be used.
    """
    if config.models is None or "motion" not in found(config.models):
        return CameraOptions()
    check_motion_encoder(config.models)
    return CameraOptions(encoder=str(config.models.resolve()))


def own_sources(config: ServerConfig) -> dict[str, Feed]:
    """The microphone of this machine and a sound file, if the operator offers them.

    Raises:
        AudioError: if there is no such microphone, or the file cannot be read.
        MissingDependency: if the microphone needs something that is not installed.
    """
    feeds: dict[str, Feed] = {}
    if config.microphone is not None:
        microphone.find(config.microphone, microphone.devices())
        feeds["microphone"] = microphone.Microphone(config.microphone).feed
    if config.audio is not None:
        SoundReader(config.audio).close()
        feeds["file"] = FileVoice(config.audio, loop=True).feed
    return feeds


def own_camera(config: ServerConfig) -> CameraFeed | None:
    """The camera of this machine, or a film in its place, if the operator offers one.

    Raises:
        CameraError: if it cannot be used.
    """
    if config.camera is None:
        return None
    feed = CameraFeed(config.camera)
    feed.check()
    return feed


async def _answer(
    door: Door, runner: web.AppRunner, listener: socket.socket, context: ssl.SSLContext | None
) -> asyncio.AbstractServer:
    assert runner.server is not None, "the runner has been set up"
    protocols, handshake_s = door.protocols(runner.server), HANDSHAKE_S if context else None
    loop = asyncio.get_running_loop()
    return await loop.create_server(protocols, sock=listener, ssl=context, ssl_handshake_timeout=handshake_s)


async def _freeze_when_warm(house: House) -> None:
    """What is loaded when the workers are warm stays: collections need not walk it (they cost 100 ms and more)."""
    while not house.desk.ready:
        await asyncio.sleep(FREEZE_LOOK_S)
    gc.collect()
    gc.freeze()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        Refused: if the port is taken (naming a free one) or the address is not this machine's.
    """
    try:
        return _bound(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            free = next((near for near in range(port + 1, min(port + NEARBY, 65_535)) if _free(host, near)), 0)
            raise Refused(f"port {port} is in use, perhaps by another mien: start with --port {free}") from error
        if error.errno == errno.EACCES:
            raise Refused(f"port {port} needs root: start with --port {port + 8000 if port < 1024 else 8700}") from error
        raise Refused(f"cannot listen on {host}: {error.strerror or error}; --host 127.0.0.1 always works") from error


def _bound(host: str, port: int) -> socket.socket:
    host = host.strip("[]")
    family, _, _, _, place = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(128)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _free(host: str, port: int) -> bool:
    try:
        _bound(host, port).close()
    except OSError:
        return False
    return True


def address(config: ServerConfig, port: int) -> str:
    """What to type into a browser; it carries the token."""
    host = "localhost" if config.loopback and config.host != "::1" else config.host.strip("[]")
    host = socket.gethostname() if host in ("", "0.0.0.0", "::") else host
    host = f"[{host}]" if ":" in host else host
    return f"{config.scheme}://{host}:{port}/" + (f"?token={config.token}" if config.token else "")


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # no wheel for this platform; asyncio's own loop serves too
        return None
    return uvloop.new_event_loop
