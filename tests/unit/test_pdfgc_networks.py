"""A folder of PD-FGC networks: loaded when its files fit each other, refused in one line when they do not."""

import dataclasses
from pathlib import Path

import pytest

from engine.errors import ModelError
from engine.render.pdfgc.latent import Gains
from engine.render.pdfgc.networks import Networks, motion_encoder
from tests.unit.pdfgc_files import SIZES, write

pytest.importorskip("onnx")


def test_sizes_are_read_from_the_files(tmp_path: Path) -> None:
    networks = Networks.load(write(tmp_path))
    assert networks.sizes == SIZES
    assert networks.gains == Gains()
    assert networks.bridge is not None
    assert networks.motion is not None


def test_bridge_and_motion_encoder_may_be_missing(tmp_path: Path) -> None:
    networks = Networks.load(write(tmp_path, ("appearance", "audio", "generator")))
    assert networks.bridge is None
    assert networks.motion is None


def test_gains_come_with_the_networks(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "pdfgc.json").write_text('{"gains": [1, 1, 1, 0.5]}')
    assert Networks.load(tmp_path).gains == Gains(1, 1, 1, 0.5)
    (tmp_path / "pdfgc.json").write_text('{"gains": [1, "loud"]}')
    with pytest.raises(ModelError, match=r"pdfgc\.json should hold"):
        Networks.load(tmp_path)


def test_a_missing_folder_or_file_is_named_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no folder .*mien export import-pdfgc"):
        Networks.load(tmp_path / "nowhere")
    write(tmp_path, ("appearance", "audio"))
    with pytest.raises(ModelError, match=r"pdfgc_generator\.onnx is missing.*mien export"):
        Networks.load(tmp_path)


def test_networks_of_other_widths_do_not_mix(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, ("generator",), dataclasses.replace(SIZES, appearance=20))
    with pytest.raises(ModelError, match=r"pdfgc_generator\.onnx does not fit .*: expected latent 1x554.*got latent 1x562"):
        Networks.load(tmp_path)


def test_a_foreign_network_is_refused(tmp_path: Path) -> None:
    for name, said in (("audio", r"pdfgc_audio\.onnx does not fit"), ("appearance", "does not hold PD-FGC networks")):
        folder = write(tmp_path / name)
        (folder / f"pdfgc_{name}.onnx").write_bytes((folder / "pdfgc_bridge.onnx").read_bytes())
        with pytest.raises(ModelError, match=said):
            Networks.load(folder)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "pdfgc_generator.onnx").write_bytes((tmp_path / "pdfgc_generator.onnx").read_bytes()[:100])
    with pytest.raises(ModelError, match=r"pdfgc_generator\.onnx is damaged"):
        Networks.load(tmp_path)


def test_the_motion_encoder_is_had_alone(tmp_path: Path) -> None:
    assert motion_encoder(write(tmp_path, ("motion",))).spec.inputs[0].shape == (1, 3, SIZES.seen, SIZES.seen)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "pdfgc_motion.onnx").write_bytes((write(tmp_path / "whole") / "pdfgc_audio.onnx").read_bytes())
    with pytest.raises(ModelError, match=r"pdfgc_motion\.onnx does not fit"):
        motion_encoder(tmp_path / "other")
    with pytest.raises(ModelError, match=r"no network can be read at .*pdfgc_motion\.onnx"):
        motion_encoder(tmp_path / "none")
