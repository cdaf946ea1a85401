import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming.rtc.encoder import VoiceEncoder
from streaming.rtc.voice import FILL_MAX, OpusStream

RATE, PACKET = 48_000, 960
COUNT = 60


def opus(sound: NDArray[np.float32], packet: int = PACKET, layout: str = "mono") -> list[bytes]:
    codec = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.format, codec.layout = RATE, "s16", layout
    codec.options = {"frame_duration": str(packet * 1000 // RATE), "application": "voip"}
    payloads: list[bytes] = []
    for at in range(0, len(sound) - packet + 1, packet):
        pcm = (sound[at : at + packet] * 32767).astype(np.int16)[None]
        if layout == "stereo":
            pcm = np.stack((pcm[0], pcm[0]), 1).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout=layout)
        frame.sample_rate = RATE
        payloads += [bytes(p) for p in codec.encode(frame)]
    return payloads


def tone(seconds: float) -> NDArray[np.float32]:
    return (0.4 * np.sin(2 * np.pi * 200 * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


PAYLOADS = opus(tone(COUNT * 0.02))
# as we send it; libopus takes a steady tone for noise after 0.4 s and repeats it no more
REPEATING = [voice.payload for voice in VoiceEncoder().encode((tone(COUNT * 0.02) * 32767).astype(np.int16), 0)]


def fed(
    order: list[int], payloads: list[bytes] = PAYLOADS, packet: int = PACKET, first: int = 65_500
) -> tuple[OpusStream, list[NDArray[np.float32]]]:
    """Packets `order` of the tone; numbers and timestamps wrap on the way."""
    stream = OpusStream()
    sounds = [stream.add((first + i) & 0xFFFF, (2**32 - 5000 + i * packet) & 0xFFFFFFFF, payloads[i]) for i in order]
    return stream, sounds


def test_a_packet_is_sound_at_once():
    _, sounds = fed(list(range(COUNT)))
    assert {len(s) for s in sounds} == {PACKET}
    assert np.abs(np.concatenate(sounds)[4800:]).max() == pytest.approx(0.4, abs=0.05)


def test_swapped_packets_come_out_in_order():
    order = list(range(COUNT))
    order[20], order[21] = 21, 20
    stream, sounds = fed(order)
    assert [len(sounds[20]), len(sounds[21])] == [0, 2 * PACKET]
    assert np.allclose(np.concatenate(sounds), np.concatenate(fed(list(range(COUNT)))[1]))
    assert (stream.stats.lost, stream.stats.reordered) == (0, 1)


def test_a_lost_packet_is_concealed_after_two_more_and_the_time_line_stays_true():
    order = [i for i in range(COUNT) if i != 30]
    stream, sounds = fed(order)
    assert [len(s) for s in sounds[29:34]] == [PACKET, 0, 0, 4 * PACKET, PACKET]
    whole = np.concatenate(sounds)
    assert len(whole) == COUNT * PACKET
    assert (stream.stats.lost, stream.stats.concealed) == (1, PACKET)
    gap = whole[30 * PACKET : 31 * PACKET]
    assert 0.1 < np.sqrt((gap**2).mean()) < 0.35  # the tone goes on, fading
    assert np.abs(np.diff(whole[29 * PACKET : 33 * PACKET])).max() < 0.1  # without a click


def test_a_lost_packet_is_taken_from_the_next_one_at_once():
    stream, sounds = fed([i for i in range(COUNT) if i != 15], REPEATING)
    assert [len(s) for s in sounds[14:17]] == [PACKET, 2 * PACKET, PACKET]
    assert (stream.stats.lost, stream.stats.recovered, stream.stats.concealed) == (1, PACKET, 0)
    whole = np.concatenate(sounds)
    assert np.abs(whole[15 * PACKET : 16 * PACKET]).max() == pytest.approx(0.4, abs=0.05)
    assert np.abs(np.diff(whole[14 * PACKET : 18 * PACKET])).max() < 0.05


def test_of_two_lost_packets_the_second_is_recovered_and_the_first_invented():
    stream, sounds = fed([*range(15), 17, 18, 19], REPEATING)
    assert [len(s) for s in sounds[15:]] == [0, 0, 5 * PACKET]
    assert (stream.stats.lost, stream.stats.recovered, stream.stats.concealed) == (2, PACKET, PACKET)


def test_what_waits_can_be_given_up_in_time():
    stream, sounds = fed([0, 1, 3])
    assert stream.waiting
    assert len(sounds[2]) == 0
    assert len(stream.give_up()) == 2 * PACKET
    assert not stream.waiting
    assert len(stream.give_up()) == 0


def test_late_and_repeated_packets_change_nothing():
    stream, sounds = fed([0, 1, 2, 1, 3])
    assert [len(s) for s in sounds] == [PACKET, PACKET, PACKET, 0, PACKET]
    assert stream.stats.late == 1


def test_concealment_fades():
    stream, sounds = fed([*range(30), 35, 36, 37])
    gap = np.concatenate(sounds)[30 * PACKET : 35 * PACKET]
    assert np.abs(gap[4 * PACKET :]).max() < 0.6 * np.abs(gap[:PACKET]).max()
    assert stream.stats.lost == 5


def test_a_short_pause_is_silence_and_a_long_one_is_not_played_again():
    for gap, extra in ((PACKET, PACKET), (FILL_MAX, FILL_MAX), (FILL_MAX + PACKET, 0), (RATE * 600, 0)):
        stream = OpusStream()
        stream.add(0, 0, PAYLOADS[0])
        assert len(stream.add(1, PACKET + gap, PAYLOADS[1])) == PACKET + extra
        assert len(stream.add(2, 2 * PACKET + gap, PAYLOADS[2])) == PACKET


def test_a_sender_that_begins_anew_is_followed():
    stream, _ = fed([0, 1], first=40_000)
    assert len(stream.add(3, 77, PAYLOADS[5])) == PACKET
    assert len(stream.add(4, 77 + PACKET, PAYLOADS[6])) == PACKET


@pytest.mark.parametrize("milliseconds", [10, 20, 40, 60])
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_packets_of_any_length_mono_or_stereo(milliseconds: int, layout: str):
    packet = RATE * milliseconds // 1000
    _, sounds = fed(list(range(8)), opus(tone(0.5), packet, layout), packet)
    assert {len(s) for s in sounds} == {packet}
    assert np.abs(sounds[-1]).max() == pytest.approx(0.4, abs=0.08)


def test_damaged_packets_are_counted_and_skipped():
    stream = OpusStream()
    stream.add(0, 0, PAYLOADS[0])
    assert len(stream.add(1, PACKET, b"\x03")) == 0
    assert len(stream.add(2, 2 * PACKET, PAYLOADS[2])) == 2 * PACKET
    assert stream.stats.damaged == 1


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 65_535), st.integers(0, 2**32 - 1), st.binary(max_size=60)), max_size=30))
def test_nothing_that_can_arrive_breaks_it_or_makes_it_pour_out_sound(packets: list[tuple[int, int, bytes]]):
    stream = OpusStream()
    for sequence, timestamp, payload in packets:
        assert len(stream.add(sequence, timestamp, payload)) <= 4 * (FILL_MAX + 5760)
        assert len(stream._waiting) <= 2  # pyright: ignore[reportPrivateUsage]
