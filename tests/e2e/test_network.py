"""`mien doctor --network` against a real coturn: what is right, and what each fault is called."""

import ssl
import subprocess
import time
from pathlib import Path

import pytest

from streaming.cli import network
from streaming.rtc.servers import IceServer, IceServers
from tests.e2e.relay import COTURN, SECRET, coturn, free_port

PATIENCE_S = 30.0  # a loaded machine is slow, not wrong

pytestmark = pytest.mark.skipif(not COTURN, reason="coturn is not installed: sudo apt-get install coturn")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "PATIENCE_S", PATIENCE_S)


def named(url: str, secret: str = SECRET) -> IceServer:
    return IceServers((url,), secret=secret).at(time.time())[0]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_relay_that_works_is_found_to_reach_this_machine(tmp_path: Path, transport: str) -> None:
    with coturn(tmp_path) as port:
        finding = network.relay(named(f"turn:127.0.0.1:{port}?transport={transport}"))
        assert finding.state == "ok", finding
        assert "it reaches this machine at 127.0.0.1" in finding.detail
        reflection = network.reflection(IceServer(f"stun:127.0.0.1:{port}"))
        assert (reflection.state, "127.0.0.1" in reflection.detail) == ("ok", True)


def test_a_wrong_secret_is_called_one(tmp_path: Path) -> None:
    with coturn(tmp_path) as port:
        finding = network.relay(named(f"turn:127.0.0.1:{port}", "another"))
        assert "refuses the credentials (401)" in finding.detail
        assert "--turn-secret" in finding.cure
        expired = IceServers((f"turn:127.0.0.1:{port}",), secret=SECRET).at(time.time() - 7200)[0]
        assert "refuses the credentials" in network.relay(expired).detail


def test_a_relay_that_may_not_send_to_us_is_called_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "PATIENCE_S", 3.0)
    with coturn(tmp_path, "--denied-peer-ip=127.0.0.1") as port:
        finding = network.relay(named(f"turn:127.0.0.1:{port}"))
        assert "does not arrive" in finding.detail
        assert "allowed-peer-ip" in finding.cure


def test_over_tls_its_certificate_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate),
        check=True, capture_output=True,
    )  # fmt: skip
    tls = free_port()
    with coturn(tmp_path, f"--tls-listening-port={tls}", f"--cert={certificate}", f"--pkey={key}"):
        server = named(f"turns:localhost:{tls}")
        assert "its certificate is refused" in network.relay(server).detail
        monkeypatch.setenv(ssl.get_default_verify_paths().openssl_cafile_env, str(certificate))
        finding = network.relay(server)
        assert finding.state == "ok", finding
