"""Clips that drive the `pdfgc` renderer: their pictures, seen once more by its motion encoder."""

from collections.abc import Mapping

import numpy as np

from engine.contract.graph import Graph
from engine.face.align import three_points
from engine.render.pdfgc.driver import PART_OF, Driver, Track
from engine.timeline import SAMPLE_RATE_HZ
from streaming.capture.clip import Clip
from streaming.driving import Tell, Watched


def tracks_of(clips: Mapping[str, tuple[Clip, Watched]], encoder: Graph, tell: Tell | None = None) -> dict[str, Track]:
    """By part of the latent: what the faces of clips do; `clips` are named by the factor that each moves."""
    wanted = {PART_OF[factor]: both for factor, both in clips.items() if factor in PART_OF}
    seen = {clip: encode(clip, watched, encoder, tell) for clip, watched in dict.fromkeys(wanted.values())}
    return {part: seen[clip][part] for part, (clip, _) in wanted.items()}


def encode(clip: Clip, watched: Watched, encoder: Graph, tell: Tell | None = None) -> dict[str, Track]:
    """By part of the latent: what the face of a clip does. Pictures without a face are bridged from those around them."""
    faces = [seen.face for seen in watched.seen]
    points = np.mean([three_points(face.landmarks) for face in faces if face], axis=0)
    driver, times, said = Driver(encoder, points), list[float](), list[Mapping[str, np.ndarray]]()
    for picture, face in zip(clip.pictures(), faces, strict=True):
        if face:
            times.append(picture.time_s)
            said.append(driver.see(picture.rgb, face.landmarks))
        if tell:
            tell(picture.time_s, clip.stated_s)
    samples, end = np.array(times) * SAMPLE_RATE_HZ, round(watched.length_s * SAMPLE_RATE_HZ)
    return {part: Track(samples, np.stack([one[part] for one in said]), end) for part in PART_OF.values()}
