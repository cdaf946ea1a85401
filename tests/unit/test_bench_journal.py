"""A journal notes what a session was pushed and what it brought out, and can be read back."""

import asyncio
from typing import cast

import numpy as np

from benchmarks.journal import Heard, Journal
from streaming.contract import OutgoingSound
from streaming.remote import Remote
from tests.e2e.rtc_fakes import ClockSession


class Session(ClockSession):
    """Says three pieces, one more that nobody hears, and one of another length."""

    async def listen(self):
        for index in (5, 6, 8):
            yield OutgoingSound(960 * index, np.full(960, index, np.int16), index - 5, float(index))
        yield OutgoingSound(960 * 9, np.full(1920, 9, np.int16), 0, 10.0)


async def test_what_was_pushed_and_what_came_out_is_noted() -> None:
    session = Session(size=256)
    journal = Journal(cast(Remote, session))
    session.push_audio(np.full(960, 0.5, np.float32), 1.0)
    session.push_audio(np.full(480, -0.25, np.float32), arrived=1.02)
    for _ in range(5):
        await asyncio.sleep(0)
    heard = Heard.read(journal.document())
    assert len(session.pushed) == 2  # it is given what is noted
    assert heard.ends.tolist() == [960, 1440]
    assert heard.arrived.tolist() == [1.0, 1.02]
    assert (int(heard.source[0]), int(heard.source[-1])) == (16383, -8191)
    np.testing.assert_array_equal(heard.due, [5.0, 6.0, np.nan, 8.0])
    assert heard.missing.tolist() == [0, 1, 0, 3]
    assert heard.begin_ms == (5.0 + heard.wall) * 1000
    assert heard.sound[:, 0].tolist() == [5, 6, 0, 8]


async def test_a_session_without_sound_has_an_empty_journal() -> None:
    heard = Heard.read(Journal(cast(Remote, ClockSession())).document())
    assert len(heard.source) == len(heard.due) == 0
