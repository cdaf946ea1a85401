import argparse
import json
import socket
import sys

import pytest

from engine.errors import MissingDependency, ModelError
from engine.face import finder
from streaming.capture import microphone
from streaming.cli import doctor
from streaming.cli.doctor import Finding, examine, told
from streaming.worker import mesh


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    doctor.add_parser(parser.add_subparsers(dest="command"))
    return parser.parse_args(["doctor", *words])


def test_every_check_answers_and_names_its_cure() -> None:
    findings = examine()
    assert [finding.name for finding in findings] == [
        "Python", "libraries", "encoders", "microphone", "new photos", "portraits", "networks", "device", "browser", "machine",
        "port",
    ]  # fmt: skip
    for finding in findings:
        assert finding.detail
        assert finding.state in ("ok", "optional", "missing")
        assert bool(finding.cure) == (finding.state != "ok")
        assert "the check failed" not in finding.detail


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    status = doctor.run(parsed("--json"))
    found = json.loads(capsys.readouterr().out)["findings"]
    assert {frozenset(finding) for finding in found} == {frozenset(("name", "state", "detail", "cure"))}
    assert status == int(any(finding["state"] == "missing" for finding in found))


def test_lines_show_the_cure_below_what_is_missing() -> None:
    text = told([Finding("a", "ok", "fine"), Finding("long", "missing", "gone\nreally", "do this")])
    assert text.splitlines() == ["ok    a     fine", "MISS  long  gone", "            really", "            -> do this"]


def test_what_mien_needs_decides_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    for state, status in (("ok", 0), ("optional", 0), ("missing", 1)):
        monkeypatch.setattr(doctor, "examine", lambda port, state=state: [Finding("x", state, "y", "z")])
        assert doctor.run(parsed()) == status


def test_a_check_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Finding:
        raise RuntimeError("no such\ncounter")

    monkeypatch.setattr(doctor, "machine", fail)
    (finding,) = (finding for finding in examine() if finding.name == "machine")
    assert "RuntimeError: no such counter" in finding.detail


def test_a_port_in_use_is_told_with_another_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        finding = doctor.port_free(port)
    assert finding.state == "optional"
    assert f"--port {port + 1}" in finding.cure


def test_a_broken_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LIBRARIES", {"numpy": "numpy", "nothing-such": "nothing_such"})
    finding = doctor.libraries()
    assert finding.state == "missing"
    assert "nothing-such" in finding.detail
    assert finding.cure == f"{sys.executable} -m pip install --force-reinstall nothing-such"


def test_without_portaudio_only_the_own_microphone_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def devices() -> list[microphone.Device]:
        raise MissingDependency("PortAudio is missing, install it: sudo apt-get install libportaudio2")

    monkeypatch.setattr(microphone, "devices", devices)
    finding = doctor.microphone()
    assert finding.state == "optional"
    assert finding.cure == "sudo apt-get install libportaudio2"


def test_microphones_are_listed_with_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [microphone.Device(0, "Monitor", 2, 48_000, False), microphone.Device(3, "Headset", 1, 16_000, True)]
    monkeypatch.setattr(microphone, "devices", lambda: found)
    assert doctor.microphone().detail.splitlines()[1:] == [
        "0  Monitor (2 channels, 48000 Hz)",
        "3* Headset (1 channels, 16000 Hz)",
    ]


def test_a_network_that_is_gone_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(settings: object) -> None:
        raise ModelError("no network can be read at voice.onnx")

    monkeypatch.setattr(mesh, "voice_of", fail)
    finding = doctor.networks()
    assert (finding.state, finding.cure) == ("missing", "git checkout -- engine/models")
    assert "voice.onnx" in finding.detail


def test_a_face_network_that_is_gone_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finder, "MATTE", finder.MODELS / "gone.onnx")
    finding = doctor.new_photos()
    assert (finding.state, finding.cure) == ("missing", "git checkout -- engine/models")
    assert "gone.onnx" in finding.detail


def test_an_old_python_is_missing_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    assert doctor.python().state == "missing"
