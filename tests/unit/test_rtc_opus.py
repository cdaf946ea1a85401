import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.rtc.encoder import VoiceEncoder
from streaming.rtc.opus import STEP, OpusDecoder, OpusError, length, repeats

PACKET = 960
TONE = (0.4 * np.sin(2 * np.pi * 200 * np.arange(48_000) / 48_000) * 32767).astype(np.int16)
PAYLOADS = [voice.payload for voice in VoiceEncoder().encode(TONE, 0)]


def decoder(packets: int) -> OpusDecoder:
    """One that has heard so many packets of the tone, of which libopus takes the first 20 for a voice."""
    one = OpusDecoder()
    for payload in PAYLOADS[:packets]:
        one.decode(payload)
    return one


def test_our_own_voice_repeats_each_packet_in_the_next():
    assert all(map(repeats, PAYLOADS[1:20]))
    assert {length(payload) for payload in PAYLOADS} == {PACKET}


def test_a_repeated_packet_is_what_was_lost_and_an_invented_one_fades():
    recovered = decoder(10).recover(PAYLOADS[11], PACKET)
    meant = decoder(10).decode(PAYLOADS[10])
    invented = decoder(10).conceal(5 * PACKET)
    assert np.abs(recovered).max() == pytest.approx(np.abs(meant).max(), abs=0.05)
    assert np.abs(invented[-PACKET:]).max() < 0.05


def test_more_than_one_packet_is_filled_at_once():
    one = decoder(10)
    assert len(one.recover(PAYLOADS[13], 3 * PACKET)) == 3 * PACKET
    assert np.abs(one.decode(PAYLOADS[13])).max() > 0.1


def test_what_is_no_packet_is_refused_in_one_line():
    with pytest.raises(OpusError, match=r"refuses a packet of 1 bytes"):
        decoder(1).decode(b"\x03")
    with pytest.raises(OpusError, match="0 bytes are no Opus packet"):
        length(b"")


@settings(max_examples=200)
@given(st.lists(st.binary(min_size=1, max_size=80), max_size=20), st.integers(1, 48))
def test_nothing_that_can_arrive_breaks_it(payloads: list[bytes], steps: int):
    one = decoder(2)
    for payload in payloads:
        try:
            assert len(one.decode(payload)) == length(payload)
        except OpusError:
            continue
        assert repeats(payload) in (True, False)
        assert len(one.recover(payload, steps * STEP)) == steps * STEP
