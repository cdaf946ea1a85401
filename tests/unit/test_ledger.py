from streaming.worker.ledger import WINDOW_S, Ledger


def noted(ledger: Ledger, fresh: int, repeated: int = 0, size: int = 512) -> None:
    for i in range(fresh + repeated):
        ledger.note(size, fresh=i < fresh)


def test_what_was_spent_between_two_readings_and_on_which_pictures() -> None:
    ledger = Ledger()
    noted(ledger, 5)
    assert ledger.read(10.0, 3.0, 7.0) is None, "the first reading only begins"
    noted(ledger, 20, 2)
    noted(ledger, 10, size=256)
    assert ledger.read(10.0 + WINDOW_S / 2, 3.1, 7.1) is None, "too short to say anything"
    window = ledger.read(10.0 + WINDOW_S, 3.5, 8.0)
    assert window is not None
    assert window.spent_s == (0.5, 1.0)
    assert window.pictures == {512: 20, 256: 10}
    noted(ledger, 25)
    following = ledger.read(10.0 + 2 * WINDOW_S, 4.0, 8.5)
    assert following is not None
    assert (following.spent_s, dict(following.pictures)) == ((0.5, 0.5), {512: 25})


def test_a_window_that_says_nothing_of_pictures_is_left_out() -> None:
    ledger = Ledger()
    ledger.read(0.0, 0.0)
    assert ledger.read(1.0, 0.5) is None, "none"
    noted(ledger, 1, 24)
    assert ledger.read(2.0, 1.0) is None, "nearly none"
    noted(ledger, 5, 20)
    assert ledger.read(3.0, 1.5) is not None, "a slow face draws one of five"


def test_a_window_in_which_something_else_was_done_is_forgotten() -> None:
    ledger = Ledger()
    ledger.read(0.0, 0.0)
    noted(ledger, 25)
    ledger.spoil()
    assert ledger.read(1.0, 5.0) is None
    noted(ledger, 25)
    window = ledger.read(2.0, 5.25)
    assert window is not None
    assert window.spent_s == (0.25,)
