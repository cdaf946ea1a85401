from pathlib import Path

import numpy as np
import pytest

from engine.contract import Motion
from engine.enrol.enrol import enrol, portrait_of
from engine.enrol.framing import frame_face
from engine.enrol.photo import LOCAL, decode_photo
from engine.errors import NoFace, SeveralFaces, UnreadablePhoto
from engine.face.finder import Finder
from engine.render.mesh import MeshRenderer
from engine.rig.archive import Card, pack, unpack
from engine.rig.avatar import FRAME
from tests.unit.test_photo import as_jpeg, encoded

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "engine" / "models" / "portraits" / "source"
PHOTOS = ROOT.parent / "shared" / "data" / "portraits"
CARD = Card("Me", "a photo", "I agree. Signed: me.")


@pytest.fixture(scope="module")
def tracker() -> Finder:
    return Finder.load()


def person(name: str = "samuel") -> np.ndarray:
    return decode_photo((SOURCES / f"{name}.png").read_bytes())


def face_psnr_db(crop: np.ndarray, drawn: np.ndarray, landmarks: np.ndarray) -> float:
    """Of the box about the landmarks."""
    (x0, y0), (x1, y1) = landmarks[:468, :2].min(0).astype(int), landmarks[:468, :2].max(0).astype(int)
    error = (crop[y0:y1, x0:x1].astype(float) - drawn[y0:y1, x0:x1]) ** 2
    return float(10 * np.log10(255**2 / error.mean()))


def test_a_portrait_holds_its_card_and_looks_like_the_photo(tracker: Finder) -> None:
    framed = frame_face(person(), tracker)
    portrait = unpack(pack(portrait_of(framed, CARD)))
    assert portrait.card.consent == "I agree. Signed: me."
    renderer = MeshRenderer(portrait.avatar, FRAME)
    renderer.prepare(Motion.of(0))
    assert face_psnr_db(framed.crop, renderer.finish().rgb, framed.landmarks) > 34


def test_a_tilted_head_is_enrolled_upright(tracker: Finder) -> None:
    from PIL import Image

    tilted = Image.fromarray(person()).rotate(25, Image.Resampling.BICUBIC, fillcolor=(128, 128, 128))
    framed = frame_face(decode_photo(encoded(tilted, "PNG")), tracker)
    right, left = framed.landmarks[33], framed.landmarks[263]
    assert abs(np.degrees(np.arctan2(left[1] - right[1], left[0] - right[0]))) < 2


def test_what_is_no_portrait_is_refused(tracker: Finder) -> None:
    two = np.hstack([person("mei"), person("ravi")])
    for photo, refusal in (
        (b"Dear diary", UnreadablePhoto),
        (as_jpeg(np.full((300, 300, 3), 90, np.uint8)), NoFace),
        (as_jpeg(two), SeveralFaces),
    ):
        with pytest.raises(refusal):
            enrol(photo, CARD, tracker)


@pytest.mark.slow
@pytest.mark.skipif(not PHOTOS.is_dir(), reason=f"the portraits for local tests are not at {PHOTOS}")
@pytest.mark.parametrize("collection", ["sfhq_synthetic", "us_house"])
def test_photos_of_real_and_generated_people_enrol(tracker: Finder, collection: str) -> None:
    photo = sorted((PHOTOS / collection).glob("*.jpg"))[5]
    portrait = enrol(photo.read_bytes(), CARD, tracker, LOCAL)
    assert portrait.avatar.landmarks.shape == (478, 3)
    assert portrait.avatar.eye_distance > 40
