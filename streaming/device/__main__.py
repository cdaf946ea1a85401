"""The device process. Started by `streaming.device.device`, never by hand."""

import argparse
import logging
import os
import signal
import socket
from pathlib import Path

from engine.contract import BatchGraph
from engine.errors import MienError
from engine.render.pdfgc.networks import shared_graphs
from streaming.contract import now
from streaming.device.loop import Loop
from streaming.device.messages import LANGUAGE
from streaming.language import Wire


def main() -> None:
    """Load the networks, measure what their batches cost, and serve them until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m streaming.device", description=__doc__)
    parser.add_argument("--socket", type=int, required=True, help="descriptor of the socket to the server")
    parser.add_argument("--listener", type=int, required=True, help="descriptor of the socket that workers connect to")
    parser.add_argument("--models", type=Path, required=True, help="folder of the networks")
    parser.add_argument("--device", required=True, help="where they run, see engine.runtime.placement")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server says when to stop
    wire = Wire(socket.socket(fileno=arguments.socket), LANGUAGE)
    try:
        graphs = shared_graphs(arguments.models, device=arguments.device)
        for graph in graphs.values():
            if isinstance(graph, BatchGraph):
                graph.warm_up(now)
    except MienError as error:
        logging.getLogger(__name__).error("the networks cannot be used: %s", error)
        graphs = error
    loop = Loop(wire, socket.socket(fileno=arguments.listener), graphs, now)

    def stop(*_: object) -> None:
        loop.stopping = True

    signal.signal(signal.SIGTERM, stop)
    loop.run()
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    main()
