import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract import Channel
from streaming.camera.decoder import PIXELS_MOST, SIDE_FOLLOWED, Damaged, Decoder, TooLarge, pixels
from streaming.camera.messages import Coded, Found, Lost, Manner, Message, Outline, Unusable
from streaming.camera.outline import LENGTHS, outline
from streaming.camera.watcher import Watcher
from streaming.contract import PictureCodec
from tests.fake_tracker import YAW_DEG, FakeFollower, FakeReader
from tests.unit.films import BLACK, bar, coded

FRAME_S = 1 / 30
VP8 = PictureCodec("vp8")


def clock() -> float:
    return 9.0


def watcher(codec: str = "vp8", *, outlines: bool = False) -> Watcher:
    one = Watcher(3, FakeFollower(), FakeReader())
    one.behave(Manner(outline=outlines))
    assert one.begin(PictureCodec(codec)) == []
    return one


def take(one: Watcher, packets: list[bytes], *, first: int = 0, keys: tuple[int, ...] = (0,)) -> list[Message]:
    return [
        message
        for index, data in enumerate(packets, first)
        for message in one.take(Coded(3, index * FRAME_S, index in keys, data))
    ]


def found(messages: list[Message]) -> Found:
    (one,) = (message for message in messages if isinstance(message, Found))
    return one


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_only_the_newest_picture_is_followed(codec: str) -> None:
    one = watcher(codec)
    assert take(one, coded([bar(x) for x in (0.1, 0.3, 0.5, 0.75)], codec)) == []
    assert one.waiting_since == 3 * FRAME_S
    seen = found(one.look(clock))
    assert (seen.key, seen.arrived, seen.state, seen.faces) == (3, 3 * FRAME_S, "following", 1)
    assert seen.values[Channel["yaw"]] == pytest.approx(YAW_DEG / 2, abs=1.5)
    assert one.look(clock) == []


def test_thirty_pictures_a_second_are_followed_and_sixty_are_not() -> None:
    one, packets, followed = watcher(), coded([bar(0.5)] * 30), list[int]()
    for index, data in enumerate(packets):
        one.take(Coded(3, index / 60, index == 0, data))
        followed += [index] if one.look(clock) else []
    assert followed == list(range(0, 30, 2))


def test_a_picture_without_a_face_says_why() -> None:
    one = watcher(outlines=True)
    take(one, coded([BLACK]))
    messages = one.look(clock)
    assert found(messages).state == "dark"
    assert not found(messages).confidence.any()
    assert isinstance(messages[1], Outline)
    assert messages[1].points.shape == (0, 2)


def test_an_outline_is_told_ten_times_a_second() -> None:
    one, count = watcher(outlines=True), 0
    for index, data in enumerate(coded([bar(0.25)] * 30)):
        one.take(Coded(3, index * FRAME_S, index == 0, data))
        outlines = [message for message in one.look(clock) if isinstance(message, Outline)]
        count += len(outlines)
        for message in outlines:
            assert message.points.shape == (sum(LENGTHS), 2)
            assert message.points[:, 1] == pytest.approx(0.5, abs=0.01)
    assert 8 <= count <= 10


def test_an_outlines_curves_are_the_faces() -> None:
    assert LENGTHS == (36, 16, 16, 20, 20, 1, 1)
    landmarks = np.stack([np.arange(478.0), 2 * np.arange(478.0), np.zeros(478)], axis=1).astype(np.float32)
    points = outline(landmarks, 100, 200)
    assert points[0] == pytest.approx([0.1, 0.1])
    assert points[-2:, 0] == pytest.approx([4.68, 4.73])


def test_a_damaged_picture_is_followed_by_none_until_a_key_frame() -> None:
    one = watcher()
    packets = coded([bar(0.2), bar(0.4), bar(0.6), bar(0.8)], keys=(0, 3))
    packets[1] = b"\x00\x00\x00nonsense"
    assert take(one, packets[:2]) == [Lost(3)]
    assert take(one, packets[2:3], first=2) == []
    take(one, packets[3:], first=3, keys=(3,))
    assert found(one.look(clock)).values[Channel["yaw"]] == pytest.approx(0.6 * YAW_DEG, abs=1.5)


def test_the_neutral_face_and_the_manner_reach_the_reader() -> None:
    reader = FakeReader()
    one = Watcher(3, FakeFollower(), reader)
    one.begin(VP8)
    one.behave(Manner(lips_from_voice=True, eye_contact=True))
    assert (reader.lips_from_voice, reader.eye_contact) == (True, True)
    take(one, coded([bar(0.75)]))
    one.look(clock)
    one.take_neutral()
    take(one, coded([bar(0.75)]), first=9, keys=(9,))
    seen = found(one.look(clock))
    assert (seen.values[Channel["yaw"]], seen.calibrated) == (0.0, 1.0)


def test_too_large_a_picture_is_refused_in_one_line_until_it_is_smaller() -> None:
    one = watcher()
    (line,) = take(one, coded([bar(0.5, 1296, 728)]))
    assert line == Unusable(3, "the camera's picture is 1296 x 728; let it send 1280 x 720 at most (640 x 480 is enough)")
    assert one.look(clock) == []
    assert take(one, coded([bar(0.5)]), first=5, keys=(5,)) == []
    assert found(one.look(clock)).state == "following"


def test_large_pictures_are_shrunk_before_they_are_followed() -> None:
    frame = av.VideoFrame.from_ndarray(bar(0.5, 1280, 720), "rgb24")
    rgb = pixels(frame)
    assert rgb.shape == (360, SIDE_FOLLOWED, 3)
    assert rgb[:, 320].mean() == pytest.approx(250, abs=3)
    with pytest.raises(Damaged):
        pixels(av.VideoFrame.from_ndarray(bar(0.5, 640, 8), "rgb24"))


def test_a_codec_that_is_none_is_said() -> None:
    one = Watcher(3, FakeFollower(), FakeReader())
    assert one.begin(PictureCodec("nonsense")) == [Unusable(3, "there is no decoder for nonsense")]
    assert one.begin(PictureCodec("opus")) == [Unusable(3, "there is no decoder for opus")]
    assert take(one, [b"x"]) == []


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["vp8", "h264"]), st.data())
def test_whatever_is_sent_is_decoded_or_damaged(codec: str, data: st.DataObject) -> None:
    packets = _PACKETS[codec]
    decoder = Decoder(PictureCodec(codec))
    for packet in packets:
        broken = bytearray(packet)
        for _ in range(data.draw(st.integers(0, 3))):
            broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
        try:
            frame = decoder.decode(bytes(broken[: data.draw(st.integers(0, len(broken)))]))
        except (Damaged, TooLarge):
            continue
        assert frame is None or frame.width * frame.height <= PIXELS_MOST


_PACKETS = {codec: coded([bar(0.1 * i) for i in range(4)], codec) for codec in ("vp8", "h264")}
