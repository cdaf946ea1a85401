from pathlib import Path

import numpy as np
import pytest

from engine.errors import ModelError
from engine.motion.visemes import ARTICULATORS, VISEMES
from tests.unit import sounds
from training.baseline import visemes
from training.baseline.analysis import Analyser
from training.baseline.visemes import CONTEXT, DOMINANCE, SHAPES, VisemeReader


def odds(sound: np.ndarray) -> np.ndarray:
    reader = VisemeReader()
    return np.array([reader.read(frame) for frame in Analyser().push(sound)])


def test_the_tables_fit_together() -> None:
    assert SHAPES.shape == (len(VISEMES), len(ARTICULATORS))
    assert DOMINANCE.shape == (len(VISEMES),)
    assert (SHAPES >= 0).all()
    assert (SHAPES <= 1).all()
    assert not SHAPES[VISEMES.index("sil")].any()


def test_probabilities_add_up() -> None:
    found = odds(sounds.syllables(3))
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_silence_and_noise_are_read_as_silence() -> None:
    for sound in (sounds.silence(1), sounds.noise(1, -30)):
        assert odds(sound)[:, 0].mean() > 0.6


def test_a_vowel_is_read_as_a_vowel() -> None:
    sound = np.concatenate([sounds.syllables(3), sounds.vowel("ee", 0.4)])
    found = odds(sound)[-25:-10].mean(axis=0)
    assert VISEMES[int(np.argmax(found))] == "ee"


def test_only_the_context_is_remembered() -> None:
    sound = sounds.syllables(6)
    frames = Analyser().push(sound)
    long, short = VisemeReader(), VisemeReader()
    for frame in frames[:-20]:
        long.read(frame)
    assert max(CONTEXT) < 20
    tails = [[reader.read(frame) for frame in frames[-20:]] for reader in (long, short)]
    np.testing.assert_array_equal(tails[0][-1], tails[1][-1])


def test_a_damaged_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "visemes.npz").write_bytes(b"nothing")
    monkeypatch.setattr(visemes, "MODEL", tmp_path / "visemes.npz")
    with pytest.raises(ModelError, match="damaged"):
        VisemeReader()
