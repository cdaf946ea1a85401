import json

import numpy as np
import pytest

from streaming.camera.messages import (
    LANGUAGE,
    STATES,
    Beat,
    Begin,
    Coded,
    Encoded,
    End,
    Found,
    Lost,
    Manner,
    Message,
    Neutral,
    Outline,
    Read,
    Ready,
    Stop,
    Unusable,
    decode,
)
from streaming.contract import PictureCodec
from streaming.language import BrokenMessage, Framer, packed

RARE: list[Message] = [
    Begin(3, PictureCodec("h264", 640, 480, "yuv420p", b"\0\1\xff"), Manner(eye_contact=True)),
    Read(3, Manner(lips_from_voice=False, outline=True, encode=False)),
    Neutral(3),
    End(3),
    Stop(),
    Ready(),
    Beat(),
    Lost(3),
    Unusable(0, "there are no networks"),
]


@pytest.mark.parametrize("message", RARE, ids=lambda m: type(m).__name__)
def test_a_message_survives_the_socket(message: Message) -> None:
    assert list(Framer(LANGUAGE).feed(packed(LANGUAGE, message))) == [message]


def test_a_picture_survives_the_socket() -> None:
    (got,) = Framer(LANGUAGE).feed(packed(LANGUAGE, Coded(3, 1.25, True, b"picture")))
    assert isinstance(got, Coded)
    assert (got.key, got.arrived, got.is_key, got.data) == (3, 1.25, True, b"picture")


@pytest.mark.parametrize("state", STATES)
def test_what_was_seen_survives_the_socket(state: str) -> None:
    values, confidence = np.linspace(-1, 1, 58, dtype=np.float32), np.linspace(0, 1, 5, dtype=np.float32)
    found = Found(3, 1.0, 1.1, 1.2, state, 2, 0.5, values, confidence)
    (got,) = Framer(LANGUAGE).feed(packed(LANGUAGE, found))
    assert isinstance(got, Found)
    assert (got.key, got.arrived, got.begun, got.done, got.state, got.faces) == (3, 1.0, 1.1, 1.2, state, 2)
    assert got.calibrated == 0.5
    np.testing.assert_array_equal(got.values, values)
    np.testing.assert_array_equal(got.confidence, confidence)


def test_an_outline_survives_the_socket() -> None:
    points = np.random.default_rng(0).random((110, 2)).astype(np.float32)
    (got,) = Framer(LANGUAGE).feed(packed(LANGUAGE, Outline(3, points)))
    assert isinstance(got, Outline)
    np.testing.assert_array_equal(got.points, points)


def test_what_the_encoder_says_survives_the_socket() -> None:
    latents = np.linspace(-3, 3, 42, dtype=np.float32)
    (got,) = Framer(LANGUAGE).feed(packed(LANGUAGE, Encoded(3, 1.25, latents)))
    assert isinstance(got, Encoded)
    assert (got.key, got.arrived) == (3, 1.25)
    np.testing.assert_array_equal(got.latents, latents)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (99, b"{}"),
        (0, b"{}"),
        (0, json.dumps({"key": 1, "codec": {"name": "vp8", "extra": "!"}, "manner": {}}).encode()),
        (5, b"x"),
        (10, b"short"),
        (10, bytes(40)),
        (11, bytes(9)),
        (12, bytes(12 + 4 * 41)),
        (12, bytes(12 + 4 * 42 + 1)),
    ],
)
def test_what_nobody_has_sent_is_refused(kind: int, body: bytes) -> None:
    with pytest.raises(BrokenMessage, match=f"message of kind {kind}"):
        decode(kind, memoryview(body))
