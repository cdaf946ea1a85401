"""The search for the largest number that fits."""

import pytest

from benchmarks.capacity_suite import Search


def found(limit: int, begin: int, most: int) -> tuple[int, list[int]]:
    """What a search finds where numbers up to `limit` fit, and what it tried."""
    search, tried = Search(begin, most), list[int]()
    while (number := search.next()) is not None:
        tried.append(number)
        search.tell(number, fits=number <= limit)
    return search.fits, tried


@pytest.mark.parametrize("most", [1, 2, 7, 40])
def test_it_finds_the_largest_number_that_fits(most: int) -> None:
    for limit in range(most + 1):
        for begin in range(most + 3):
            fits, tried = found(limit, begin, most)
            assert fits == limit
            assert len(set(tried)) == len(tried), "nothing is tried twice"
            assert all(1 <= number <= most for number in tried)


def test_it_begins_where_it_is_told_and_needs_few_tries() -> None:
    assert found(5, 4, 32) == (5, [4, 5, 6])
    assert found(4, 4, 32) == (4, [4, 5])
    assert len(found(110, 80, 256)[1]) <= 8


def test_what_is_known_beforehand_is_not_tried_again() -> None:
    search = Search(4, 4)
    search.tell(4, fits=True)
    assert (search.next(), search.fits) == (None, 4)


def test_nothing_that_fits_is_an_answer_too() -> None:
    assert found(0, 3, 8)[0] == 0
