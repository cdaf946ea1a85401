import numpy as np

from training.baseline.level import HEADROOM_DB, LOWEST_DB, NoiseFloor, SpeakerLevel


def db(power: float) -> np.ndarray:
    return np.full(3, 10 ** (power / 10), np.float32)


def test_the_floor_is_the_steady_part_of_the_sound() -> None:
    floor = NoiseFloor(3)
    rng = np.random.default_rng(0)
    noise = db(0)
    for k in range(600):
        syllable = -20.0 if k % 60 < 30 else -50.0
        noise = floor.update(db(syllable + rng.normal(0, 0.5)))
    assert np.abs(10 * np.log10(noise) + 48).max() < 3.5


def test_a_new_fan_is_part_of_the_room_after_two_seconds() -> None:
    floor, noise = NoiseFloor(3), db(0)
    for _ in range(300):
        floor.update(db(-60))
    for _ in range(100):
        noise = floor.update(db(-30))
    assert noise.max() < 1e-5
    for _ in range(125):
        noise = floor.update(db(-30))
    assert np.abs(10 * np.log10(noise) + 28).max() < 1


def test_the_first_sound_is_taken_for_the_room() -> None:
    assert (NoiseFloor(3).update(db(-30)) > 1e-3 / 5).all()


def test_the_level_goes_up_at_once_and_down_with_speech_only() -> None:
    level = SpeakerLevel()
    for _ in range(15):
        level.update(-20, -70, voiced=True)
    assert level.value_db > -21
    for _ in range(1000):
        level.update(-60, -70, voiced=False)
    assert level.value_db > -21
    for _ in range(400):
        level.update(-40, -70, voiced=True)
    assert -34 < level.value_db < -31


def test_the_level_keeps_above_the_room_and_above_nothing() -> None:
    assert SpeakerLevel().update(-90, -100, voiced=False) == LOWEST_DB
    assert SpeakerLevel().update(-20, -20, voiced=True) == -20 + HEADROOM_DB
