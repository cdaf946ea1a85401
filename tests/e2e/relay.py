"""coturn on this machine, for as long as a test needs it."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

COTURN = shutil.which("turnserver")
SECRET = "a secret of the test"


@contextlib.contextmanager
def coturn(folder: Path, *options: str, listens: int | None = None) -> Iterator[int]:
    """A TURN server on loopback; yields its port, for UDP and TCP unless `options` forbid one.

    It is ready when it takes TCP connections there, or where it `listens`.
    """
    assert COTURN, "the test is skipped where coturn is absent"
    port = free_port()
    relays = min(free_port(), 65_535 - 200)
    command = (
        COTURN, "-n", "--no-cli", "--no-dtls", "--allow-loopback-peers", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1",
        f"--listening-port={port}", f"--min-port={relays}", f"--max-port={relays + 200}", "--realm=mien", "--use-auth-secret",
        f"--static-auth-secret={SECRET}", f"--pidfile={folder}/turn.pid", f"--userdb={folder}/turn.db", "--log-file=stdout",
        *options,
    )  # fmt: skip
    with (folder / "turn.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        try:
            until_listening(listens or port, process)
            yield port
        finally:
            process.terminate()
            process.wait(60)


def free_port() -> int:
    """A port that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server of ours takes TCP connections."""
    end = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"coturn does not listen on port {port}; see turn.log")
