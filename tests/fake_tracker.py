"""A tracker without networks: the brightest column of a picture is a nose, and yaw is how far it is from the middle.

Named in `CameraOptions.tracker`, so that the real camera process runs it. What
a picture is like steers it: a dark one is dark; one that is all of one colour
makes it raise (red), end the process (green) or stop for ever (blue).
"""

import os
import time

import numpy as np
from numpy.typing import NDArray

from engine.contract import CHANNELS, GROUPS, Channel
from engine.errors import ModelError
from engine.face.fields import fields
from engine.face.reader import Reading
from engine.face.stream import Seen
from engine.face.tracker import LANDMARKS, Face
from streaming.camera.loop import Tracker
from streaming.camera.watcher import Watcher

YAW_DEG = 30.0
"""Yaw of a nose at the right edge."""


class FakeFollower:
    def follow(self, rgb: NDArray[np.uint8], time_s: float) -> Seen:
        red, green, blue = (float(value) for value in rgb.reshape(-1, 3).mean(axis=0))
        if red > 180 and green < 80:
            raise RuntimeError("a follower fell over")
        if green > 180 and red < 80:
            os._exit(7)
        if blue > 180 and red < 80:
            time.sleep(3600)
        if max(red, green, blue) < 12:
            return Seen(time_s, None, "dark")
        landmarks = np.zeros((LANDMARKS, 3), np.float32)
        landmarks[:, 0] = float(np.argmax(rgb.astype(np.float32).sum(axis=(0, 2))))
        landmarks[:, 1] = rgb.shape[0] / 2
        return Seen(time_s, Face(landmarks, 1.0), faces=1)

    def reset(self) -> None:
        pass


class FakeReader:
    lips_from_voice = eye_contact = False
    calibrated = 0.0

    def __init__(self) -> None:
        self.rest = 0.0
        self.yaw = 0.0

    def read(self, seen: Seen, width: int, height: int) -> Reading:
        values = np.zeros(len(CHANNELS), np.float32)
        if seen.face is None:
            return Reading(values, np.zeros(len(GROUPS), np.float32))
        self.yaw = YAW_DEG * (float(seen.face.landmarks[0, 0]) / width * 2 - 1)
        values[Channel["yaw"]] = self.yaw - self.rest
        return Reading(values, np.ones(len(GROUPS), np.float32))

    def take_neutral(self) -> bool:
        self.rest, self.calibrated = self.yaw, 1.0
        return True


def broken() -> Tracker:
    raise ModelError("there are no networks")


def tracker() -> Tracker:
    return lambda key: Watcher(key, FakeFollower(), FakeReader())


class FramedFollower(FakeFollower):
    """Its landmarks are those of a face, about the brightest column."""

    def follow(self, rgb: NDArray[np.uint8], time_s: float) -> Seen:
        seen = super().follow(rgb, time_s)
        if seen.face is None:
            return seen
        landmarks = (rgb.shape[0] / 4 * fields().face + seen.face.landmarks[0]).astype(np.float32)
        return Seen(time_s, Face(landmarks, 1.0), faces=1)


def framing() -> Tracker:
    return lambda key: Watcher(key, FramedFollower(), FakeReader())
