"""What may be asked of a session, checked before it travels to a worker."""

import math
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, Final

from engine.contract import CHANNELS
from engine.motion.script import GESTURES, PRESETS
from streaming.contract import CAMERAS, CHOICES, FACTORS, LOOK_AHEADS_MS, Controls, SessionSettings

SIZES: Final = (256, 384, 512, 768)  # px
RATES: Final = (25, 30, 50, 60)  # fps
PASSING: Final = frozenset({"preset", "channels", "portrait", "neutral"})
"""Controls that are not simply set: they pass, add up, or are remembered elsewhere."""
PICTURE_HOLD_MOST_MS: Final = 100
GAIN_MOST: Final = 2.0

_NAMES: Final = tuple(field.name for field in fields(Controls))


def check_settings(settings: SessionSettings) -> None:
    """Nothing, if a session can be opened with these settings.

    Raises:
        ValueError: if not.
    """
    if settings.size not in SIZES:
        raise ValueError(f"size: expected one of {SIZES}, got {settings.size}")
    if settings.fps not in RATES:
        raise ValueError(f"fps: expected one of {RATES}, got {settings.fps}")
    if settings.look_ahead_ms not in LOOK_AHEADS_MS:
        raise ValueError(f"look_ahead_ms: expected one of {LOOK_AHEADS_MS}, got {settings.look_ahead_ms}")
    if not 0 <= settings.picture_hold_ms <= PICTURE_HOLD_MOST_MS:
        raise ValueError(f"picture_hold_ms: expected 0..{PICTURE_HOLD_MOST_MS}, got {settings.picture_hold_ms}")


def checked_controls(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes that are not None, as they travel to a worker.

    Raises:
        ValueError: for an unknown name or a value out of range.
    """
    checked: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in _NAMES:
            raise ValueError(f"no control is called {name!r}{_hint(name, _NAMES)}")
        if value is not None:
            checked[name] = _checked(name, value)
    return checked


def remember(controls: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Merge checked changes into all that was changed so far, in place: applied to a new session, it is where the old one was.

    A preset lets go of channels set before it; gestures pass, and so does the instant of a neutral face.
    """
    if (preset := changes.get("preset")) is not None and preset not in GESTURES:
        controls["preset"] = preset
        controls.pop("channels", None)
    if (channels := changes.get("channels")) is not None:
        controls["channels"] = {**controls.get("channels", {}), **channels}
    if (factors := changes.get("factors")) is not None:
        controls["factors"] = {**controls.get("factors", {}), **factors}
    controls.update({name: value for name, value in changes.items() if name not in PASSING | {"factors"}})


def _checked(name: str, value: Any) -> Any:
    if name == "channels":
        return {channel: _level(channel, level) for channel, level in value.items()}
    if name == "preset":
        if value not in PRESETS:
            raise ValueError(f"no preset is called {value!r}{_hint(value, tuple(PRESETS))}")
        return value
    if name in ("idle", "neutral", "eye_contact"):
        return bool(value)
    if name == "camera":
        return _one_of(CAMERAS, name, value)
    if name == "factors":
        return {_one_of(tuple(FACTORS), name, factor): _one_of(CHOICES, factor, source) for factor, source in value.items()}
    if name == "portrait":
        return str(value)
    if not 0 <= float(value) <= GAIN_MOST:
        raise ValueError(f"{name}: expected 0..{GAIN_MOST:g}, got {value}")
    return float(value)


def _one_of(known: tuple[str, ...], name: str, value: object) -> str:
    if value not in known:
        raise ValueError(f"{name}: expected one of {', '.join(known)}, got {value!r}{_hint(value, known)}")
    return str(value)


def _level(channel: str, level: float | None) -> float | None:
    if channel not in CHANNELS:
        raise ValueError(f"no channel is called {channel!r}{_hint(channel, CHANNELS)}")
    if level is not None and not math.isfinite(level):
        raise ValueError(f"{channel}: expected a finite number, got {level}")
    return None if level is None else float(level)


def _hint(name: object, known: tuple[str, ...]) -> str:
    close = get_close_matches(str(name), known, 1)
    return (
        f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known[:8])}{', ...' if len(known) > 8 else ''}"
    )
