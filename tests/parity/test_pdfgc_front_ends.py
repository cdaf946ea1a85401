"""PD-FGC's front ends against numbers that its public inference code gives for the same input.

The fixtures of `data/pdfgc_front` were computed for this project (synthetic sound, noise for pictures, look-up tables in
place of the networks) and hold every n-th value of the large arrays.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.face.align import as_input, sub_crop
from engine.features.pdfgc import gain_of, mel_of, pictures_of, windows_of
from engine.render.pdfgc.latent import LIPS, Latents, looped, motion_codes, to_8bit

FOLDER = Path(__file__).parent / "data" / "pdfgc_front"
OFF = {"mouth": "lips", "emo": "expression", "blink": "blink", "gaze": "gaze", "headpose": "pose"}
"""The public code's switches, and our names of what they turn off."""


def _fixture(name: str) -> dict[str, NDArray[Any]]:
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as data:
        return dict(data)


def test_mel_of_a_whole_sound() -> None:
    d = _fixture("audio_frontend")
    mel = mel_of(d["pcm"] / 32768)
    assert mel[:, ::2] == pytest.approx(d["mel"], abs=1e-6)
    assert mel_of(d["pcm_quiet"] / 32768)[:, ::4] == pytest.approx(d["mel_quiet"], abs=1e-6)


def test_silence_is_not_amplified_without_end() -> None:
    assert gain_of(np.zeros(100)) == pytest.approx(1000)


def test_windows_of_pictures() -> None:
    d = _fixture("audio_frontend")
    mel = mel_of(d["pcm"] / 32768)
    assert list(pictures_of(len(mel))) == d["target_frames"].tolist()
    assert windows_of(mel)[[0, 25, 46]] == pytest.approx(d["windows"], abs=1e-6)


def test_which_pictures_a_length_has_windows_for() -> None:
    for samples, mel_frames, windows, first, last, _ in _fixture("audio_frontend")["length_table"].tolist():
        mel = mel_of(np.zeros(samples))
        pictures = pictures_of(len(mel))
        assert (len(mel), len(windows_of(mel)), pictures[0], pictures[-1]) == (mel_frames, windows, first, last)


def test_what_the_networks_see_of_a_picture() -> None:
    d = _fixture("image_crop")
    seen = sub_crop(d["rgb_in"])
    assert (seen[::3, ::3] == d["rgb_out"]).all()
    assert as_input(seen[None])[0, :, :16, :16] == pytest.approx(d["tensor_corner"], abs=1e-6)


def _latents() -> tuple[Latents, dict[str, NDArray[Any]]]:
    d = _fixture("latent_assembly")
    lips = d["lip"].astype(np.float32)
    drivers = (d[name].astype(np.float32) for name in ("expression_driver_emo", "eye_driver_eye", "pose_driver_pose"))
    return Latents(lips, *(looped(driver, len(lips)) for driver in drivers)), d


def test_motion_codes_of_a_clip() -> None:
    latents, d = _latents()
    codes = motion_codes(latents)
    assert codes[:, d["columns"]] == pytest.approx(d["motion_code"], abs=1e-6)
    whole = np.concatenate([d["appearance"][0].astype(np.float32), codes[-1]])
    assert whole[::5] == pytest.approx(d["latent_last"], abs=1e-6)


@pytest.mark.parametrize("switch", OFF)
def test_motion_codes_with_a_factor_turned_off(switch: str) -> None:
    latents, d = _latents()
    codes = motion_codes(latents, off=[OFF[switch]])
    assert codes[:, LIPS:] == pytest.approx(d[f"motion_code_{switch}_off"], abs=1e-6)
    assert (codes[:, :LIPS] == (0 if switch == "mouth" else motion_codes(latents)[:, :LIPS])).all()


def test_generated_images_as_bytes() -> None:
    d = _fixture("to_8bit")
    assert (to_8bit(d["tensor_rgb"])[..., ::-1] == d["bgr"]).all()
