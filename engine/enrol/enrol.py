"""A photo becomes a portrait: decode, frame, build."""

from dataclasses import replace

from engine.enrol.build import build_avatar
from engine.enrol.framing import Framed, frame_face
from engine.enrol.people import thumbnail
from engine.enrol.photo import UPLOAD, PhotoLimits, decode_photo
from engine.face.tracker import FaceTracker
from engine.rig.archive import Card, Portrait


def enrol(photo: bytes, card: Card, tracker: FaceTracker, limits: PhotoLimits = UPLOAD) -> Portrait:
    """The portrait of the one face in a photo.

    Raises:
        UnreadablePhoto, NoFace, SeveralFaces, UnusableFace: in one line each.
    """
    return portrait_of(frame_face(decode_photo(photo, limits), tracker), card)


def portrait_of(framed: Framed, card: Card) -> Portrait:
    """The portrait of a framed face; what limits its animation is in the avatar's notes."""
    avatar = build_avatar(framed.crop, framed.landmarks, framed.matte)
    return Portrait(replace(avatar, notes=(*framed.notes, *avatar.notes)), card, thumbnail(framed.crop, framed.landmarks))
