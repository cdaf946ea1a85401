"""What the device process adds to a run of a network, what it costs a worker, and how long a new one takes to serve.

    python3 -m benchmarks.gpu_device FOLDER [--device cuda:0] [--runs 100]

FOLDER holds PD-FGC's networks. Runs go by turns here and through the process, which has its own copy; the last line is one
JSON document. The floor of a round trip is the run itself.
"""

import argparse
import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.contract import GraphRequest
from engine.render.pdfgc.networks import shared_graphs
from engine.runtime.batches import Batches
from streaming.device.link import Caller, DeviceGraph, DeviceGraphs

TOGETHER: Final = 4
"""Requests that are under way at once where a worker's own time is measured."""


@contextmanager
def process(models: Path, device: str) -> Generator[str]:
    """The address of a device process, which may still be loading."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(b"")
    listener.listen()
    ours, theirs = socket.socketpair()
    ends = theirs.fileno(), listener.fileno()
    words = ["--socket", str(ends[0]), "--listener", str(ends[1]), "--models", str(models), "--device", device]
    child = subprocess.Popen([sys.executable, "-m", "streaming.device", *words], pass_fds=ends)
    try:
        with listener, theirs:
            yield bytes(listener.getsockname()).hex()
    finally:
        ours.close()  # it ends when its server is gone
        child.wait()


def start_s(models: Path, device: str) -> float:
    """Seconds until a new process serves."""
    began = time.perf_counter()
    with process(models, device) as address, closing(Caller(address)) as caller:
        caller.graphs()
        return time.perf_counter() - began


def trips(graph: DeviceGraph, here: Batches, runs: int) -> dict[str, Any]:
    """A run here and a round trip, by turns, in milliseconds."""
    inputs = graph.spec.fake_inputs(0)
    direct, through = list[float](), list[float]()
    for run, times in ((here.run, direct), (graph.run, through)) * (runs + 1):
        began = time.perf_counter()
        run(inputs)
        times.append(time.perf_counter() - began)
    return {"run_ms": _figures(direct[1:]), "round_trip_ms": _figures(through[1:])}


def own_time(address: str, graph: DeviceGraph, runs: int) -> dict[str, Any]:
    """CPU time of a worker's thread for asking and for taking the answer, in milliseconds."""
    request, asking, taking = GraphRequest(graph, graph.spec.fake_inputs(0)), list[float](), list[float]()
    with closing(DeviceGraphs(address, time.monotonic)) as graphs:
        while not (graphs.wires and select.select(graphs.wires, [], [], 0.1)[0]):
            graphs.answers()
        graphs.answers()
        for _ in range(runs):
            began, come, spent = time.thread_time(), 0, 0.0
            for asker in range(TOGETHER):
                graphs.submit(asker, request, time.monotonic())
            asking.append((time.thread_time() - began) / TOGETHER)
            while come < TOGETHER:
                select.select(graphs.wires, [], [])
                began = time.thread_time()
                come += len(graphs.answers())
                spent += time.thread_time() - began
            taking.append(spent / TOGETHER)
    return {"ask_cpu_ms": _figures(asking), "take_cpu_ms": _figures(taking)}


def _figures(seconds: list[float]) -> dict[str, float]:
    p50, p99 = np.percentile(seconds, (50, 99)) * 1000
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3), "n": len(seconds)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--runs", type=int, default=100)
    args = parser.parse_args()
    figures: dict[str, Any] = {"start_s": [round(start_s(args.models, args.device), 2) for _ in ("first", "from the cache")]}
    here = shared_graphs(args.models, device=args.device)
    with process(args.models, args.device) as address, closing(Caller(address)) as caller:
        for name, graph in caller.graphs().items():
            local = here[name]
            if isinstance(local, Batches):
                local.warm_up(time.perf_counter)
                costs = {size: round(1000 * cost, 3) for size, cost in local.costs.items()}
                figures[name] = {"batch_ms": costs, **trips(graph, local, args.runs), **own_time(address, graph, args.runs)}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
