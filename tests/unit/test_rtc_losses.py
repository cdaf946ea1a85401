import pytest

from streaming.rtc.losses import Losses


def test_a_loss_counts_among_all_packets_however_often_it_is_reported() -> None:
    losses, said = Losses(), list[float]()
    for packet in range(3001):  # 300 a second, one in a hundred lost, reported at each loss as browsers do
        if packet % 100 == 0 and (share := losses.hear(packet // 100, 5000 + packet, packet / 300)) is not None:
            said.append(share)
    assert len(said) == 10
    assert said == pytest.approx([0.01] * 10)


def test_the_numbers_of_packets_turn_over() -> None:
    losses = Losses()
    assert losses.hear(4, 0xFFFFFFFF - 49, 0.0) is None
    assert losses.hear(9, 50, 1.0) == pytest.approx(0.05)


def test_nothing_is_said_of_a_second_without_packets_and_nothing_below_nothing() -> None:
    losses = Losses()
    losses.hear(4, 100, 0.0)
    assert losses.hear(4, 100, 2.0) is None
    assert losses.hear(2, 200, 3.0) == 0.0
    assert losses.hear(900, 300, 4.0) == 1.0
