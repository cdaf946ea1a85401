from streaming.rtc.playout import CALM_S, PlayoutDelay


def test_a_line_that_loses_nothing_has_pictures_shown_as_they_come():
    delay = PlayoutDelay(0, 200)
    assert delay.at(100.0) == (0, 200)
    assert delay.encoded(100.0) == bytes((0, 0, 20))


def test_where_packets_are_repeated_pictures_wait_for_as_long_as_that_takes():
    delay = PlayoutDelay(0, 200)
    delay.lose(100.0, 0.052)
    assert delay.at(100.1) == (40, 240)
    assert delay.encoded(100.1) == bytes((0, 0x40, 24))


def test_what_is_asked_for_only_grows_until_the_line_is_calm():
    delay = PlayoutDelay(0, 200)
    for at, round_trip_s in ((100.0, 0.052), (101.0, 0.11), (102.0, 0.052)):
        delay.lose(at, round_trip_s)
    assert delay.at(103.0) == (70, 270)
    assert delay.at(102.0 + CALM_S + 0.1) == (0, 200)
    delay.lose(120.0, 0.052)
    assert delay.at(120.0) == (40, 240)


def test_where_most_losses_are_mended_repetitions_are_waited_for_less():
    delay = PlayoutDelay(0, 200)
    delay.lose(100.0, 0.052, mended=True)
    assert delay.loses(100.1)
    assert delay.at(100.1) == (30, 230)
    for _ in range(60):
        delay.report(0.05)
    delay.lose(100.2, 0.052, mended=True)
    assert delay.at(100.3) == (140, 340)


def test_it_is_bounded():
    delay = PlayoutDelay(0, 200)
    delay.lose(100.0, 3.0)
    assert delay.at(100.0) == (200, 400)


def test_where_repetitions_are_lost_too_it_is_longer():
    delay = PlayoutDelay(0, 200)
    for _ in range(60):
        delay.report(0.05)
    delay.lose(100.0, 0.052)
    assert delay.at(100.0) == (150, 350)
