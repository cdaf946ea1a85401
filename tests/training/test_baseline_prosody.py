import numpy as np
from numpy.typing import NDArray

from training.baseline.analysis import BANDS, SoundFrame
from training.baseline.prosody import LIMIT_DEG, Prosody


def frame(loudness_db: float = -6.0, pitch_hz: float = 120.0) -> SoundFrame:
    return SoundFrame(np.zeros(BANDS, np.float32), loudness_db, 30.0, 0.9, pitch_hz, -20.0)


def moved(frames: list[SoundFrame], speech: float = 1.0, prosody: Prosody | None = None) -> NDArray[np.float64]:
    """float64[N, 4]: pitch, roll, yaw, brow."""
    prosody = prosody or Prosody()
    rows = []
    for one in frames:
        prosody.step(one, speech)
        rows.append([prosody.pitch.value, prosody.roll.value, prosody.yaw.value, prosody.brow.value])
    return np.array(rows)


def test_an_accent_nods_the_head_and_lifts_the_brows() -> None:
    level = [frame()] * 200
    accented = [frame()] * 150 + [frame(3, 170)] * 25 + [frame()] * 25
    plain, nod = moved(level), moved(accented)
    assert nod[150:200, 0].min() < plain[150:200, 0].min() - 0.5
    assert nod[150:200, 3].max() > plain[150:200, 3].max() + 0.05


def test_motion_is_small_and_smooth() -> None:
    rng = np.random.default_rng(0)
    wild = [frame(float(rng.uniform(-40, 12)), float(rng.uniform(70, 400))) for _ in range(3000)]
    track = moved(wild)
    assert (np.abs(track[:, :3]) <= LIMIT_DEG).all()
    assert (track[:, 3] >= -0.05).all()
    assert np.abs(np.diff(track, axis=0)).max() < 0.2  # 20 degrees/s


def test_silence_brings_it_to_rest() -> None:
    prosody = Prosody()
    moved([frame(0, 150)] * 300, 1.0, prosody)
    rest = moved([frame(-60, 0)] * 800, 0.0, prosody)
    assert np.abs(rest[-1]).max() < 0.05
