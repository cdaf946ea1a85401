import socket
from pathlib import Path

import pytest

from streaming.cli import network
from streaming.cli.finding import Finding, found
from streaming.cli.main import main
from streaming.cli.network import Network, checks
from streaming.rtc.servers import IceServer, IceServers
from tests.unit.test_tls import made


def test_every_check_answers_in_the_order_in_which_a_connection_needs_it():
    findings = found(checks(Network("127.0.0.1", 0)))
    assert [finding.name for finding in findings] == ["addresses", "page", "certificate", "clock", "UDP", "relays"]
    for finding in findings:
        assert "the check failed" not in finding.detail
        assert finding.state == "ok" or finding.cure


def test_a_server_for_others_needs_a_certificate_and_is_told_of_relays():
    findings = {finding.name: finding for finding in found(checks(Network("0.0.0.0", 0)))}
    assert findings["certificate"].state == "missing"
    assert "--certificate" in findings["certificate"].cure
    assert "--ice-server" in findings["relays"].cure


def test_a_certificate_is_read(tmp_path: Path):
    certificate, key = made(tmp_path, "face.example.org")
    finding = network.certificate(Network("0.0.0.0", 0, certificate, key))
    assert finding.state == "optional"
    assert "face.example.org" in finding.detail
    assert "signed by itself" in finding.detail
    broken = network.certificate(Network("0.0.0.0", 0, key, certificate))
    assert broken.state == "missing"


def test_an_address_of_another_machine_cannot_be_served_from():
    finding = network.page(Network("192.0.2.1", 8700))
    assert (finding.state, "192.0.2.1" in finding.detail) == ("missing", True)


def test_a_firewall_on_this_machine_is_named(monkeypatch: pytest.MonkeyPatch):
    def deaf(_: object) -> bool:
        return False

    monkeypatch.setattr(network, "_hears_itself", deaf)
    finding = network.udp(Network("127.0.0.1", 0))
    assert finding.state == "missing"
    assert "ufw" in finding.cure


def test_a_server_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as hurried, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        hurried.setattr(network, "PATIENCE_S", 0.3)
        mute.bind(("127.0.0.1", 0))
        port = mute.getsockname()[1]
        for finding in (
            network.reflection(IceServer(f"stun:127.0.0.1:{port}")),
            network.relay(IceServer(f"turn:127.0.0.1:{port}", "me", "x")),
        ):
            assert finding.state == "optional"
            assert "no answer over UDP" in finding.detail
            assert finding.cure
    refused = network.relay(IceServer("turn:127.0.0.1:1?transport=tcp", "me", "x"))
    assert "cannot be reached" in refused.detail


def test_the_command_line_takes_the_options_of_serve(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    seen: list[Network] = []

    def looked(given: Network) -> dict[str, object]:
        seen.append(given)
        return {"one": lambda: Finding("one", "ok", "fine")}

    monkeypatch.setattr(network, "checks", looked)
    words = ["--host", "0.0.0.0", "--ice-server", "turn:a.org", "--turn-secret", "north"]
    assert main(["doctor", "--network", *words]) == 0
    assert capsys.readouterr().out == "ok    one  fine\n"
    assert (seen[0].host, seen[0].servers) == ("0.0.0.0", IceServers(("turn:a.org",), secret="north"))
    assert main(["doctor", "--network", "--ice-server", "turn:a.org"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
