"""A few damaged inputs for every parser; `python -m tests.fuzz` takes ten thousand of each."""

import pytest

from tests.fuzz.feeding import LOG_MOST, fed
from tests.fuzz.mutation import mutant
from tests.fuzz.parsers import PARSERS

INPUTS = 150


@pytest.mark.parametrize("name", PARSERS)
def test_damaged_inputs_raise_nothing_unexpected(name: str) -> None:
    found = fed(PARSERS[name], 0, INPUTS)
    assert not found.failures
    assert found.logged <= LOG_MOST * INPUTS


@pytest.mark.parametrize("name", PARSERS)
def test_what_is_damaged_was_good(name: str) -> None:
    for seed in PARSERS[name].seeds():
        PARSERS[name].feed(seed)


def test_an_input_is_told_by_its_number() -> None:
    seeds = PARSERS["stun"].seeds()
    assert [mutant(seeds, n) for n in range(50)] == [mutant(seeds, n) for n in range(50)]
    assert len({mutant(seeds, n) for n in range(50)}) > 40
