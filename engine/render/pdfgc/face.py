"""Who is shown: what the appearance encoder says of a portrait, once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import Motion
from engine.face.align import aligned, as_input, similarity, three_points
from engine.render.mesh import MeshRenderer
from engine.render.pdfgc.latent import Floats
from engine.render.pdfgc.networks import Networks
from engine.rig.avatar import FRAME, Avatar


@dataclass(frozen=True, slots=True, eq=False)
class Appearance:
    """What stays the same in all pictures of a person; read-only, shared by sessions.

    Attributes:
        feature: float32[A], the beginning of the latent.
        map: float32[1, C, H, W], what the generator begins with.
    """

    feature: Floats
    map: Floats


def appearance_of(avatar: Avatar, networks: Networks) -> Appearance:
    """The appearance of a portrait at rest, framed as the networks were trained."""
    size = networks.sizes.seen
    square = aligned(portrait_of(avatar), similarity(three_points(avatar.landmarks), size), size)
    said = networks.appearance.run({"image": as_input(square[None])})
    return Appearance(np.asarray(said["feature"][0], np.float32), np.asarray(said["map"], np.float32))


def portrait_of(avatar: Avatar) -> NDArray[np.uint8]:
    """uint8[FRAME, FRAME, 3] RGB: the portrait itself, at rest."""
    renderer = MeshRenderer(avatar, FRAME)
    renderer.prepare(Motion.of())
    return renderer.finish().rgb
