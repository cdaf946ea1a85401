"""The real server in a process of its own, for the suites that reach it as a browser does."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from benchmarks.environment import ROOT
from benchmarks.pipeline import PipelineSettings
from engine.errors import MienError

READY_S: Final = 120.0


@contextmanager
def serving(settings: PipelineSettings, *more: str) -> Generator[str]:
    """The address of the running server, its workers warm; `more` are further words for `benchmarks.server`."""
    options = {
        "--size": settings.size,
        "--fps": settings.fps,
        "--look-ahead-ms": settings.look_ahead_ms,
        "--portrait": settings.portrait.stem,
        "--renderer": settings.renderer,
        "--ppm": settings.ppm,
        "--picture-hold-ms": settings.picture_hold_ms,
        "--workers": settings.workers,
    }
    words = [str(word) for name, value in options.items() if value is not None for word in (name, value)]
    command = [sys.executable, "-m", "benchmarks.server", *words, *more]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            raise MienError("the server did not start; its own lines above say why")
        _await_ready(address)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _await_ready(address: str) -> None:
    deadline = time.monotonic() + READY_S
    while request("GET", address + "readyz")[0] != 200:
        if time.monotonic() > deadline:
            raise MienError(f"the server's workers were not warm after {READY_S:.0f} s")
        time.sleep(0.2)


def request(method: str, address: str, body: object = None) -> tuple[int, Any]:
    """Status and JSON body of an answer of the server."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(address, data, {"Content-Type": "application/json"}, method=method)
    asked.add_header("Origin", address.split("/api")[0].rstrip("/"))
    try:
        with urllib.request.urlopen(asked, timeout=60) as response:
            text = response.read()
            return response.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, None


def fetched(address: str) -> bytes | None:
    """What is found at an address of the server; None when there is nothing."""
    try:
        with urllib.request.urlopen(address, timeout=60) as response:
            return response.read()
    except urllib.error.HTTPError:
        return None
