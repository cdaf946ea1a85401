"""A worker process. Started by `streaming.worker.process`, never by hand."""

import argparse
import logging
import os
import signal
import socket
import sys

import cv2

from streaming.contract import now
from streaming.device.link import DeviceGraphs
from streaming.language import Wire
from streaming.worker.arena import Arena
from streaming.worker.batching import BatchQueue
from streaming.worker.loop import Loop
from streaming.worker.messages import LANGUAGE
from streaming.worker.options import WorkerOptions


def main() -> None:
    """Serve sessions over the socket and the shared memory that were handed down, until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m streaming.worker", description=__doc__)
    parser.add_argument("--socket", type=int, required=True, help="descriptor of the socket to the server")
    parser.add_argument("--arena", type=int, required=True, help="descriptor of the pictures' memory")
    parser.add_argument("--options", type=WorkerOptions.decode, required=True, help="WorkerOptions as JSON")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    cv2.setNumThreads(1)
    sys.setswitchinterval(0.001)  # the loader's thread gives way to the loop's soon
    options: WorkerOptions = arguments.options
    wire = Wire(socket.socket(fileno=arguments.socket), LANGUAGE)
    graphs = DeviceGraphs(options.served, now) if options.served else BatchQueue[int](now)
    loop = Loop(wire, Arena(arguments.arena), options.make_studio(), graphs, options, now)

    def stop(*_: object) -> None:
        loop.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server says when to stop
    loop.run()
    logging.shutdown()
    os._exit(0)  # whatever the loader is in the middle of ends here


if __name__ == "__main__":
    main()
