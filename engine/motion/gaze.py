"""Where the eyes look, and the lids that go with them."""

from engine.contract.motion import gaze_controls

LID_FOLLOW_PER_DEG = 0.6 / 30
"""eyeBlink per degree of looking down. In a neutral ARKit capture the lids follow with 0.93 per full eyeLookDown; less is
asked here because a renderer's blink also covers the iris."""


def look_controls(left_deg: float, up_deg: float) -> dict[str, float]:
    """Controls that turn both eyes by degrees to the person's left and up, with lids that follow."""
    down = min(max(-up_deg, 0.0) * LID_FOLLOW_PER_DEG, 0.45)
    wide = min(max(up_deg, 0.0) / 90, 0.3)
    return gaze_controls(left_deg, up_deg) | {
        "eyeBlinkLeft": down, "eyeBlinkRight": down, "eyeWideLeft": wide, "eyeWideRight": wide
    }  # fmt: skip
