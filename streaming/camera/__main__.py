"""The camera process. Started by `streaming.camera.cameras`, never by hand."""

import argparse
import importlib
import logging
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from engine.errors import MienError
from streaming.camera.loop import Loop
from streaming.camera.messages import LANGUAGE, Unusable
from streaming.contract import now
from streaming.enrolment_process import Limits, restrict
from streaming.language import Wire

if TYPE_CHECKING:
    from streaming.camera.encoding import Encoding

CPU_S = 10**7  # of its whole life: a camera may be on for months


def main() -> None:
    """Follow faces in what comes over the socket that was handed down, until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m streaming.camera", description=__doc__)
    parser.add_argument("--socket", type=int, required=True, help="descriptor of the socket to the server")
    parser.add_argument("--tracker", required=True, help="module:callable that makes the tracker")
    parser.add_argument("--memory-mb", type=int, required=True, help="what it may use beyond what it has when ready")
    parser.add_argument("--encoder", type=Path, metavar="DIR", help="folder of networks whose motion encoder sees faces, too")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("libav").setLevel(logging.CRITICAL)  # what a damaged stream is like is counted, not told
    cv2.setNumThreads(1)
    wire = Wire(socket.socket(fileno=arguments.socket), LANGUAGE)
    module, _, name = arguments.tracker.partition(":")
    try:
        tracker = getattr(importlib.import_module(module), name)()
        encoding = _encoding(arguments.encoder) if arguments.encoder else None
    except MienError as error:
        wire.send(Unusable(0, str(error)))
        return
    restrict(Limits(memory_mb=arguments.memory_mb, cpu_s=CPU_S, files=32))
    loop = Loop(wire, tracker, now, encoding)

    def stop(*_: object) -> None:
        loop.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server says when to stop
    loop.run()
    logging.shutdown()
    os._exit(0)


def _encoding(models: Path) -> "Encoding":
    from streaming.camera.encoding import Encoding  # only where a renderer has an encoder

    return Encoding.load(models)


if __name__ == "__main__":
    main()
