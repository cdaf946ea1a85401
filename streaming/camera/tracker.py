"""What the camera process follows faces with: our own networks, loaded once for all cameras."""

import numpy as np

from engine.face.detector import Detector
from engine.face.finder import DETECTOR, MESH, closer_looks
from engine.face.follower import Follower
from engine.face.landmarks import LandmarkNet
from engine.face.reader import FaceReader
from engine.runtime.ort import OrtGraph
from streaming.camera.loop import Tracker
from streaming.camera.watcher import Watcher

_WARM_RUNS = 3


def tracker() -> Tracker:
    """Load everything and run it once.

    Raises:
        ModelError, MissingDependency: if the networks cannot be loaded.
    """
    detector, mesh, closer = Detector(OrtGraph.load(DETECTOR)), LandmarkNet(OrtGraph.load(MESH)), closer_looks()

    def watcher(key: int) -> Watcher:
        return Watcher(key, Follower(detector, mesh, closer), FaceReader())

    first, reader = Follower(detector, mesh, closer), FaceReader()
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    for run in range(_WARM_RUNS):
        reader.read(first.follow(noise, run / 30), 640, 480)
    return watcher
