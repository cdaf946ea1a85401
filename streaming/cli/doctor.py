"""`mien doctor`: what is there, what is missing, and the command that mends it."""

import argparse
import contextlib
import importlib
import importlib.metadata
import json
import os
import shutil
import socket
import sys
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from streaming.cli import device, ice
from streaming.cli.finding import Check, Finding, found, told
from streaming.config import DEFAULT_PORT

LIBRARIES: Final = {
    "numpy": "numpy", "numba": "numba", "opencv-python-headless": "cv2", "av": "av", "aiortc": "aiortc", "aiohttp": "aiohttp",
    "uvloop": "uvloop", "pydantic": "pydantic", "pillow": "PIL", "psutil": "psutil",
    "onnxruntime": "onnxruntime", "scipy": "scipy", "pillow-heif": "pillow_heif",
}  # fmt: skip
ENCODERS: Final = {"libx264": "H.264", "libvpx": "VP8", "libopus": "Opus"}
CORES_WANTED: Final = 2
MEMORY_WANTED_GB: Final = 2.0
DISK_WANTED_GB: Final = 0.5
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def add_parser(subparsers: Any) -> None:
    """Add this command to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser("doctor", help="say what is missing, and the command that mends it")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of lines")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"the page's port to look at, default {DEFAULT_PORT}")
    parser.add_argument("--network", action="store_true", help="say why a browser cannot connect; give it the options of serve")
    parser.add_argument("--host", default="127.0.0.1", help="address that serve listens on")
    parser.add_argument("--certificate", type=Path, metavar="PEM", help="its certificate")
    parser.add_argument("--key", type=Path, metavar="PEM", help="the certificate's key")
    ice.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Look at everything; return 0 if nothing that mien needs is missing."""
    findings = examine_network(args) if args.network else examine(args.port)
    if args.json:
        print(json.dumps({"findings": [asdict(finding) for finding in findings]}, indent=1))
    else:
        print(told(findings))
    return int(any(finding.state == "missing" for finding in findings))


def examine(port: int = DEFAULT_PORT) -> list[Finding]:
    """Everything that mien needs."""
    checks: dict[str, Check] = {
        "Python": python,
        "libraries": libraries,
        "encoders": encoders,
        "microphone": microphone,
        "new photos": new_photos,
        "portraits": portraits,
        "networks": networks,
        "device": device.finding,
        "browser": browser,
        "machine": machine,
        "port": lambda: port_free(port),
    }
    return found(checks)


def examine_network(args: argparse.Namespace) -> list[Finding]:
    """What stands between a browser and the server.

    Raises:
        Refused: for STUN and TURN servers that are none.
    """
    from streaming.cli import network  # heavy

    return found(network.checks(network.Network(args.host, args.port, args.certificate, args.key, ice.chosen(args))))


def python() -> Finding:
    """The interpreter and its environment."""
    version = ".".join(map(str, sys.version_info[:3]))
    detail = f"{version} at {sys.executable}"
    if not (3, 11) <= tuple(sys.version_info[:2]) < (3, 14):
        return Finding("Python", "missing", detail, "install Python 3.12, remove .venv, and start ./mien again")
    if sys.prefix == sys.base_prefix:
        return Finding("Python", "optional", f"{detail}, in no virtual environment", "start mien as ./mien, which makes one")
    return Finding("Python", "ok", detail)


def libraries() -> Finding:
    """The libraries without which nothing runs: installed, and loadable."""
    found: list[str] = []
    broken: dict[str, str] = {}
    for package, module in LIBRARIES.items():
        try:
            importlib.import_module(module)
            found.append(f"{package} {importlib.metadata.version(package)}")
        except Exception as error:  # a damaged library fails in its own way
            broken[package] = " ".join(str(error).split())[:80] or type(error).__name__
    if broken:
        detail = "\n".join(f"{package}: {why}" for package, why in broken.items())
        return Finding("libraries", "missing", detail, _pip("install", "--force-reinstall", *broken))
    return Finding("libraries", "ok", ", ".join(found))


def encoders() -> Finding:
    """What PyAV's FFmpeg can encode."""
    import av

    absent: list[str] = []
    for codec in ENCODERS:
        try:
            av.Codec(codec, "w")
        except ValueError:
            absent.append(codec)
    have = ", ".join(f"{name} ({codec})" for codec, name in ENCODERS.items() if codec not in absent)
    if absent:
        return Finding(
            "encoders",
            "missing",
            f"without {', '.join(absent)}",
            _pip("install", "--force-reinstall", "--only-binary=:all:", "av"),
        )
    return Finding("encoders", "ok", have)


def microphone() -> Finding:
    """PortAudio and the machine's own microphones; the browser's needs neither."""
    from engine.errors import MienError
    from streaming.capture.microphone import devices

    try:
        with _quiet():
            found = devices()
    except MienError as error:
        line, _, cure = str(error).rpartition(": ")
        return Finding("microphone", "optional", f"{line or error}; only --microphone needs it", cure)
    if not found:
        return Finding(
            "microphone", "optional", "none at this machine; the browser's works without", "plug one in, for --microphone"
        )
    names = [f"{d.index}{'*' if d.default else ' '} {d.name} ({d.channels} channels, {d.rate_hz} Hz)" for d in found]
    return Finding("microphone", "ok", "\n".join(["for --microphone (* default):", *names]))


def new_photos() -> Finding:
    """Whether photos can be enrolled: the five networks that find faces run, and what builds a portrait is there."""
    from engine.errors import MienError
    from engine.face import finder

    files = (finder.DETECTOR, finder.MESH, finder.EYES, finder.LIPS, finder.MATTE)
    try:
        finder.Finder.load()
    except MienError as error:
        return Finding("new photos", "missing", str(error), "git checkout -- engine/models")
    size = sum(file.stat().st_size for file in files) / 1e6
    return Finding("new photos", "ok", f"{', '.join(file.stem for file in files)} ({size:.1f} MB)")


def portraits() -> Finding:
    """The built-in people, and the folder of the user's own."""
    from streaming.portraits import PortraitLibrary

    library = PortraitLibrary()
    listed = library.all()
    builtin = sum(info.builtin for info in listed)
    detail = f"{builtin} built in, {len(listed) - builtin} of your own in {library.root}"
    if not builtin:
        return Finding("portraits", "missing", detail, "git checkout -- engine/models/portraits")
    nearest = next(folder for folder in (library.root, *library.root.parents) if folder.exists())
    free_gb = shutil.disk_usage(nearest).free / 1e9
    if not os.access(nearest, os.W_OK):
        return Finding(
            "portraits", "optional", f"{detail}, which may not be written", f"sudo chown -R {_user()} {_quoted(str(nearest))}"
        )
    if free_gb < DISK_WANTED_GB:
        return Finding("portraits", "optional", f"{detail}, where {free_gb:.1f} GB are free", "make room on the disk")
    return Finding("portraits", "ok", detail)


def networks() -> Finding:
    """What moves mouth, head and eyes: every file can be read, and the networks run."""
    import numpy as np

    import engine
    from engine.errors import MienError
    from engine.motion.idle import IdleSource
    from engine.timeline import SAMPLE_RATE_HZ
    from streaming.contract import SessionSettings
    from streaming.worker.mesh import voice_of

    try:
        voice = voice_of(SessionSettings(""))
        voice.push(np.zeros(SAMPLE_RATE_HZ, np.float32))
        voice.advance(SAMPLE_RATE_HZ // 2)
        IdleSource()
    except MienError as error:
        return Finding("networks", "missing", str(error), "git checkout -- engine/models")
    files = sorted((Path(engine.__file__).parent / "models").glob("*.onnx"))
    size = sum(file.stat().st_size for file in files) / 1e6
    return Finding("networks", "ok", f"{', '.join(file.stem for file in files)} ({size:.1f} MB)")


def browser() -> Finding:
    """Chromium, for the benchmark's suite `browser` and for the tests."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    application = Path("/Applications/Google Chrome.app")
    if found is None and application.exists():
        found = str(application)
    if found:
        return Finding("browser", "ok", f"{found} (for mien bench --suite browser)")
    cure = "brew install --cask google-chrome" if sys.platform == "darwin" else "sudo apt-get install chromium"
    return Finding("browser", "optional", "no Chromium; only mien bench --suite browser and mien test need it", cure)


def machine() -> Finding:
    """Cores and memory."""
    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else psutil.cpu_count() or 1
    memory = psutil.virtual_memory()
    detail = f"{cores} cores, {memory.total / 1e9:.1f} GB memory, {memory.available / 1e9:.1f} GB free"
    if cores < CORES_WANTED:
        return Finding("machine", "optional", detail, "two cores or more are needed for 512x512 at 25 fps; try --size 256")
    if memory.available / 1e9 < MEMORY_WANTED_GB:
        return Finding("machine", "optional", detail, "close other programs; 2 GB are needed")
    return Finding("machine", "ok", detail)


def port_free(port: int) -> Finding:
    """Whether the page's port can be used."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            why = error.strerror or str(error)
            return Finding("port", "optional", f"{port}: {why}", f"./mien serve --port {port + 1}   (or end what uses it)")
    return Finding("port", "ok", f"{port} is free")


def _pip(*words: str) -> str:
    return " ".join([sys.executable, "-m", "pip", *(_quoted(word) for word in words)])


def _quoted(word: str) -> str:
    return f"'{word}'" if set(word) & set("<>= ") else word


def _user() -> str:
    return os.environ.get("USER", "$USER")


@contextlib.contextmanager
def _quiet() -> Generator[None, None, None]:
    """Drop what ALSA and JACK write to standard error while PortAudio looks for devices."""
    sys.stderr.flush()
    kept, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(sink)
