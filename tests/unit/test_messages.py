import json
import struct

import numpy as np
import pytest

from streaming.contract import SessionSettings, Stamps, Step
from streaming.language import MAX_BODY, BrokenMessage, Framer, packed
from streaming.worker.messages import (
    LANGUAGE,
    Beat,
    Close,
    Closed,
    Control,
    Encoded,
    Frame,
    Interrupt,
    Look,
    Message,
    Open,
    Opened,
    Ready,
    Refused,
    Sound,
    Speech,
    Stepped,
    Stop,
    decode,
)

RARE: list[Message] = [
    Open(7, 3, 12.5, 40, "/a/face.mien", SessionSettings("mei", size=256), {"idle": False, "channels": {"yaw": None}}),
    Control(7, {"channels": {"jawOpen": 0.5}, "preset": "smile"}),
    Interrupt(7),
    Close(7),
    Stop(),
    Ready(512, 0.008),
    Opened(7, 12.5, 960),
    Closed(7, "PortraitError", "it is no portrait"),
    Refused(7, "no preset is called 'x'"),
    Beat({"7": 0.01}, 3.5, 2.25, 0.5),
    Stepped(7, Step(15, 384)),
]


@pytest.mark.parametrize("message", RARE, ids=lambda m: type(m).__name__)
def test_a_message_survives_the_socket(message: Message) -> None:
    assert list(Framer(LANGUAGE).feed(packed(LANGUAGE, message))) == [message]


def test_sound_survives_the_socket() -> None:
    sound = Sound(7, 1.25, np.linspace(-1, 1, 960, dtype=np.float32))
    (got,) = Framer(LANGUAGE).feed(packed(LANGUAGE, sound))
    assert isinstance(got, Sound)
    assert (got.key, got.arrived) == (7, 1.25)
    np.testing.assert_array_equal(got.samples, sound.samples)


def test_a_frame_survives_the_socket() -> None:
    stamps = Stamps(*(float(i) for i in range(8)))
    frame = Frame(7, 123_456, 15, 384, 2, False, True, stamps)
    (got,) = Framer(LANGUAGE).feed(packed(LANGUAGE, frame))
    assert isinstance(got, Frame)
    assert got == frame


def test_speech_survives_the_socket() -> None:
    speech = Speech(7, 1 << 40, 960, 1.25, np.arange(-480, 480, dtype=np.int16))
    (got,) = Framer(LANGUAGE).feed(packed(LANGUAGE, speech))
    assert isinstance(got, Speech)
    assert (got.key, got.start, got.missing, got.due) == (7, 1 << 40, 960, 1.25)
    np.testing.assert_array_equal(got.samples, speech.samples)


def test_a_look_survives_the_socket() -> None:
    look = Look(7, 1.25, np.linspace(-1, 1, 58, dtype=np.float32), np.linspace(0, 1, 5, dtype=np.float32))
    (got,) = Framer(LANGUAGE).feed(packed(LANGUAGE, look))
    assert isinstance(got, Look)
    assert (got.key, got.arrived) == (7, 1.25)
    np.testing.assert_array_equal(got.values, look.values)
    np.testing.assert_array_equal(got.confidence, look.confidence)


def test_what_the_encoder_says_survives_the_socket() -> None:
    latents = np.linspace(-3, 3, 42, dtype=np.float32)
    (got,) = Framer(LANGUAGE).feed(packed(LANGUAGE, Encoded(7, 1.25, latents)))
    assert isinstance(got, Encoded)
    assert (got.key, got.arrived) == (7, 1.25)
    np.testing.assert_array_equal(got.latents, latents)


@pytest.mark.parametrize("cut", [1, 3, 1000])
def test_the_cut_of_the_stream_does_not_matter(cut: int) -> None:
    stream = b"".join(packed(LANGUAGE, message) for message in RARE)
    framer = Framer(LANGUAGE)
    got = [m for start in range(0, len(stream), cut) for m in framer.feed(stream[start : start + cut])]
    assert got == RARE


def test_no_side_can_be_made_to_hold_more_than_a_megabyte() -> None:
    with pytest.raises(BrokenMessage, match="bytes"):
        packed(LANGUAGE, Sound(1, 0.0, np.zeros(MAX_BODY // 4, np.float32)))
    with pytest.raises(BrokenMessage, match="are allowed"):
        list(Framer(LANGUAGE).feed(struct.pack("<IB", MAX_BODY + 1, 0)))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (99, b"{}"),
        (3, b"not json"),
        (3, b"[]"),
        (3, json.dumps({"no": 1}).encode()),
        (5, b"x"),
        (11, b"short"),
        (12, bytes(16)),
        (15, bytes(12 + 4 * 43)),
    ],
)
def test_what_nobody_has_sent_is_refused_in_one_line(kind: int, body: bytes) -> None:
    with pytest.raises(BrokenMessage, match=f"message of kind {kind}") as caught:
        decode(kind, memoryview(body))
    assert "\n" not in str(caught.value)
