"""`mien render` and `mien serve --renderer pdfgc` from their options to films and workers, with stand-ins for the networks."""

import asyncio
import sys
import wave
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from engine.contract import Motion, Renderer
from engine.errors import ModelError
from engine.render.pdfgc.latent import LIPS, POSE
from streaming.cli.main import main
from streaming.config import ServerConfig
from streaming.contract import SessionSettings
from streaming.server import cameras_of, device_of, workers_of
from streaming.worker.options import STUDIOS, WorkerOptions
from streaming.worker.pool import available_cores
from tests.unit.pdfgc_files import SIZES, write

pytest.importorskip("onnx")

PORTRAITS = Path(__file__).parents[2] / "engine" / "models" / "portraits"


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "words.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes((3000 * np.random.default_rng(0).normal(size=24_000)).astype(np.int16).tobytes())
    return path


def _render(sound: Path, *words: str) -> int:
    return main(["render", "mei", str(sound), "-o", str(sound.with_suffix(".mp4")), "--size", "64", *words])


def test_a_film_is_drawn_by_the_networks(sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = write(tmp_path / "models")
    assert _render(sound, "--renderer", "pdfgc", "--models", str(models), "--no-badge") == 0
    assert "0.5 s of video" in capsys.readouterr().out
    with av.open(str(sound.with_suffix(".mp4"))) as film:
        pictures = [frame.to_ndarray(format="rgb24").astype(int) for frame in film.decode(video=0)]
    assert len(pictures) == 13
    assert all(np.ptp(picture, axis=(0, 1)).max() < 12 for picture in pictures)  # the stand-ins draw one colour
    assert np.ptp([picture.mean() for picture in pictures]) > 1  # which the sound moves


def test_factors_may_be_held_canonical(sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--renderer", "pdfgc", "--models", str(write(tmp_path / "models")), "--no-badge")
    assert _render(sound, *words, "--canonical", "lips,expression,gaze,blink,pose") == 0
    with av.open(str(sound.with_suffix(".mp4"))) as film:
        assert np.ptp([frame.to_ndarray(format="rgb24").mean() for frame in film.decode(video=0)]) < 1
    assert _render(sound, *words, "--force", "--canonical", "nose") == 1
    assert "--canonical knows no 'nose'; there are lips" in capsys.readouterr().err
    assert _render(sound, "--force", "--canonical", "pose") == 1
    assert "--canonical is for --renderer pdfgc" in capsys.readouterr().err


def test_what_is_missing_is_said_in_one_line(sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _render(sound, "--renderer", "pdfgc") == 1
    assert "--models DIR: make the folder by" in capsys.readouterr().err
    assert _render(sound, "--renderer", "pdfgc", "--models", str(tmp_path)) == 1
    assert "pdfgc_appearance.onnx is missing: make the folder by" in capsys.readouterr().err
    assert _render(sound, "--models", str(tmp_path)) == 1
    assert "--models is for --renderer pdfgc" in capsys.readouterr().err


def test_foreign_networks_are_refused_in_one_line(sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = write(tmp_path / "models")
    (models / "pdfgc_audio.onnx").write_bytes(b"not a network")
    assert _render(sound, "--renderer", "pdfgc", "--models", str(models)) == 1
    line = capsys.readouterr().err
    assert "pdfgc_audio.onnx is damaged" in line
    assert line.count("\n") == 1


def test_what_comes_short_is_told(sound: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    models = write(tmp_path / "models", ("appearance", "audio", "generator"))
    assert _render(sound, "--renderer", "pdfgc", "--models", str(models), "--look-ahead-ms", "80") == 0
    assert "and controls nothing; train one with python -m training pdfgc-bridge" in caplog.text
    assert "the lips come 60 ms late" in caplog.text


def test_serve_says_what_is_missing_before_it_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--renderer", "pdfgc", "--models", str(tmp_path / "none")]) == 1
    assert "there is no folder" in capsys.readouterr().err


def test_serve_holds_factors_canonical_in_its_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    served: list[ServerConfig] = []
    monkeypatch.setattr("streaming.server.serve", lambda config, _: served.append(config))
    models = write(tmp_path / "models")
    words = ("serve", "--renderer", "pdfgc", "--models", str(models), "--device", "cpu")
    assert main([*words, "--canonical", "lips,pose"]) == 0
    _, options = workers_of(served[0], tmp_path / "mei.mien")
    studio = options.make_studio()
    renderer = studio.renderer(SessionSettings("mei", size=64), str(PORTRAITS / "mei.mien"))
    latent = latent_of(renderer, Motion.of(0, {"yaw": 20.0, "browInnerUp": 1.0}))
    assert not latent[:LIPS].any()
    assert not latent[-POSE:].any()
    assert latent[LIPS:-POSE].all()
    assert main([*words, "--canonical", "nose"]) == 1
    assert "--canonical knows no 'nose'; there are lips" in capsys.readouterr().err
    assert main(["serve", "--canonical", "pose"]) == 1
    assert "--canonical is for --renderer pdfgc; mesh holds factors still" in capsys.readouterr().err
    assert len(served) == 1


def latent_of(renderer: Renderer, motion: Motion) -> np.ndarray:
    """float32[542]: what the generator is asked, but for who it is."""
    asked = renderer.prepare(motion)
    assert asked is not None
    return np.asarray(asked.inputs["latent"][0, SIZES.appearance :], np.float32)


def test_one_worker_has_all_cores_for_its_networks(tmp_path: Path) -> None:
    config = ServerConfig(renderer="pdfgc", models=tmp_path, device="cpu")
    workers, options = workers_of(config, tmp_path / "mei.mien")
    assert (workers, options.studio, options.models) == (1, STUDIOS["pdfgc"], str(tmp_path))
    assert options.threads == available_cores()
    assert workers_of(replace(config, workers=4 * available_cores()), tmp_path)[1].threads == 1
    assert workers_of(ServerConfig(), tmp_path)[0] is None
    assert workers_of(replace(config, device="cuda:1"), tmp_path)[1].device == "cuda:1"


def test_cameras_are_encoded_where_the_renderer_has_an_encoder(tmp_path: Path) -> None:
    whole, silent = write(tmp_path / "whole"), write(tmp_path / "silent", ("appearance", "audio", "generator"))
    assert cameras_of(ServerConfig()).encoder == ""
    assert cameras_of(ServerConfig(renderer="pdfgc", models=whole)).encoder == str(whole.resolve())
    assert cameras_of(ServerConfig(renderer="pdfgc", models=silent)).encoder == ""
    (whole / "pdfgc_motion.onnx").write_bytes(b"not a network")
    with pytest.raises(ModelError, match=r"pdfgc_motion\.onnx is damaged"):
        cameras_of(ServerConfig(renderer="pdfgc", models=whole))


def test_a_worker_is_told_of_networks_and_threads() -> None:
    options = WorkerOptions(STUDIOS["pdfgc"], "/models", 3, "cuda:0", canonical=("gaze", "pose"))
    assert WorkerOptions.decode(options.encode()) == options
    assert type(options.make_studio()).__name__ == "PdfgcStudio"
    assert type(WorkerOptions().make_studio()).__name__ == "MeshStudio"


@pytest.mark.skipif(sys.platform != "linux", reason="sockets without a file are Linux's")
def test_a_gpus_networks_have_a_process_of_their_own_and_workers_the_cores(tmp_path: Path) -> None:
    config = ServerConfig(renderer="pdfgc", models=tmp_path, device="cuda:0")
    assert device_of(replace(config, device="cpu")) is None
    assert device_of(ServerConfig(device="cuda:0")) is None
    device = device_of(config)
    assert device is not None
    workers, options = workers_of(config, tmp_path / "mei.mien", device)
    assert (workers, options.threads, options.served) == (None, 1, device.address)
    asyncio.run(device.close())
