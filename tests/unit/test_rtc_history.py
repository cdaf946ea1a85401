import math

from streaming.rtc.history import GAP_S, LATE_S, MENDED_MOST, ROOM, SAVED_S, SHARE, History, Sent


def sent(sequence: int, size: int = 1000, at: float = 100.0) -> Sent:
    return Sent(sequence, 0, False, 102, bytes(size), at, at)


def kept(count: int, **packet: int) -> History:
    history = History()
    for sequence in range(count):
        history.keep(sent(sequence, **packet))
    return history


def test_a_packet_is_repeated_once_in_a_round_trip():
    history = kept(3)
    assert history.again(1, 100.0 + GAP_S / 2, 0.0, math.inf) is None
    packet = history.again(1, 100.1, 0.05, math.inf)
    assert packet is not None
    assert packet.sequence == 1
    assert history.again(1, 100.13, 0.05, math.inf) is None
    assert history.again(1, 100.145, 0.05, math.inf) is packet  # who asks a round trip later by their own clock is not refused


def test_what_is_forgotten_or_too_old_is_not_repeated():
    history = kept(ROOM + 1)
    assert history.again(0, 100.1, 0.0, math.inf) is None
    assert history.again(1, 100.1, 0.0, math.inf) is not None
    assert history.again(2, 100.0 + LATE_S + 0.1, 0.0, math.inf) is None
    assert [history.is_past(sequence, 100.1) for sequence in (0, 1, ROOM, ROOM + 1)] == [True, False, False, True]


def test_where_parities_are_sent_a_key_frame_is_sooner_there_than_what_is_far_back():
    history = kept(200)
    history.reach = MENDED_MOST
    assert history.again(199 - MENDED_MOST, 100.1, 0.0, math.inf) is not None
    assert history.again(198 - MENDED_MOST, 100.1, 0.0, math.inf) is None
    assert history.is_past(198 - MENDED_MOST, 100.1)


def test_what_was_sent_before_a_key_picture_is_not_needed_any_more():
    history = kept(10)
    history.begin(5)
    assert history.again(4, 100.1, 0.0, math.inf) is None
    assert not history.is_past(4, 200.0)
    assert history.again(5, 100.1, 0.0, math.inf) is not None
    for sequence in range(10, 70_000):
        history.keep(sent(sequence & 0xFFFF))
    assert history.again(69_990 & 0xFFFF, 100.1, 0.0, math.inf) is not None


def test_repetitions_take_no_more_than_their_share_of_a_line():
    history, line_bps = kept(400), 300_000.0
    repeated = sum(history.again(sequence, 100.03 + sequence / 500, 0.0, line_bps) is not None for sequence in range(400))
    assert repeated <= SHARE * line_bps / 8 * (0.8 + SAVED_S) / 1000 + 1
    assert repeated >= SHARE * line_bps / 8 * 0.8 / 1000 - 1
