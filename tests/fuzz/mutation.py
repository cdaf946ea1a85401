"""Damaged versions of good inputs: each is told by its number alone."""

import random
from collections.abc import Callable, Sequence
from typing import Final

EDITS_MOST: Final = 6
NUMBERS: Final = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
WORDS: Final = (
    b"", b"-1", b"0", b"99999999999999999999", b"1e999", b"NaN", b"\0", b"\r\n", b"\r\n\r\n", b"\xff\xfe", b"%00", b"../",
    b'{"', b'"' * 3, b"::1", b"=" * 9, b"a=", b"m=", b":", b";", b"\xed\xa0\x80", b"\xf0\x9f\x92\xa9", b"A" * 300, b"[" * 40,
)  # fmt: skip


def mutant(seeds: Sequence[bytes], number: int) -> bytes:
    """The damaged input of a number: one of the seeds with one to `EDITS_MOST` edits; one in sixteen is noise."""
    dice = random.Random(number)
    if dice.random() < 1 / 16:
        return dice.randbytes(dice.randrange(200))
    data = bytearray(dice.choice(seeds))
    for _ in range(dice.randint(1, EDITS_MOST)):
        dice.choice(_EDITS)(data, dice)
        if dice.random() < 1 / 16:
            _splice(data, dice, dice.choice(seeds))
    return bytes(data)


def _span(data: bytearray, dice: random.Random) -> slice:
    begin = dice.randrange(len(data) + 1)
    return slice(begin, begin + min(dice.randrange(1, 1 + (4 if dice.random() < 0.7 else 64)), len(data)))


def _flip(data: bytearray, dice: random.Random) -> None:
    if data:
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _overwrite(data: bytearray, dice: random.Random) -> None:
    number, size = dice.choice(NUMBERS), dice.choice((1, 2, 4))
    at = dice.randrange(len(data) + 1)
    data[at : at + size] = (number & (1 << 8 * size) - 1).to_bytes(size, dice.choice(("big", "little")))


def _remove(data: bytearray, dice: random.Random) -> None:
    del data[_span(data, dice)]


def _repeat(data: bytearray, dice: random.Random) -> None:
    found = _span(data, dice)
    data[found] = bytes(data[found]) * dice.choice((2, 2, 3, 50))


def _cut(data: bytearray, dice: random.Random) -> None:
    del data[dice.randrange(len(data) + 1) :]


def _insert(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(data) + 1)
    data[at:at] = dice.choice(WORDS) if dice.random() < 0.7 else dice.randbytes(dice.randrange(1, 9))


def _replace_word(data: bytearray, dice: random.Random) -> None:
    """What stands between two separators, if it is a text."""
    begin = dice.randrange(len(data) + 1)
    while begin and data[begin - 1] not in b' :;,=/\r\n"':
        begin -= 1
    end = begin
    while end < len(data) and data[end] not in b' :;,=/\r\n"':
        end += 1
    data[begin:end] = dice.choice(WORDS)


def _drop_line(data: bytearray, dice: random.Random) -> None:
    lines = bytes(data).split(b"\n")
    del lines[dice.randrange(len(lines))]
    data[:] = b"\n".join(lines)


def _move_line(data: bytearray, dice: random.Random) -> None:
    lines = bytes(data).split(b"\n")
    lines.insert(dice.randrange(len(lines)), lines[dice.randrange(len(lines))])
    data[:] = b"\n".join(lines)


def _splice(data: bytearray, dice: random.Random, other: bytes) -> None:
    data[dice.randrange(len(data) + 1) :] = other[dice.randrange(len(other) + 1) :]


_EDITS: Final[tuple[Callable[[bytearray, random.Random], None], ...]] = (
    _flip, _flip, _overwrite, _remove, _repeat, _cut, _insert, _replace_word, _drop_line, _move_line,
)  # fmt: skip
