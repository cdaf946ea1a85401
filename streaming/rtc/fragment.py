"""The fragments of SDP that WHIP and WHEP exchange after the answer (RFC 8840, RFC 9725 section 4.3)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aioice import Candidate

from streaming.rtc.offer import CANDIDATES_MAX, ICE_WORD, OfferError
from streaming.rtc.reach import Reach

FRAGMENT_TYPE: Final = "application/trickle-ice-sdpfrag"
FRAGMENT_MAX: Final = 8 * 1024  # bytes

_CANDIDATE = re.compile(r"a=candidate:(\S+ [1-9]\d? \S+ \d{1,10} \S+ \d{1,5} typ (?:host|srflx|relay))(?: .*)?")


@dataclass(frozen=True, slots=True)
class Fragment:
    """What a peer tells about its ICE side.

    Attributes:
        username, password: of the generation that the candidates belong to; both empty where the peer does not say.
        candidates: those that may be sent to.
    """

    username: str
    password: str
    candidates: tuple[Candidate, ...]


def checked_fragment(text: str, reach: Reach) -> Fragment:
    """Read a fragment that came from a peer.

    Media are bundled, so all sections share one transport, and a candidate of any section is one of it. The end of
    candidates means nothing to us: who offered none that we may send to is found by its own checks.

    Args:
        text: the fragment as it came.
        reach: the addresses that may be sent to.

    Raises:
        OfferError: if it is not a fragment, or names too many candidates.
    """
    lines = text.splitlines()
    username, password = _word(lines, "a=ice-ufrag:"), _word(lines, "a=ice-pwd:")
    if bool(username) != bool(password):
        raise OfferError("a=ice-ufrag and a=ice-pwd belong together: send both or neither")
    named = list(dict.fromkeys(line for line in lines if line.startswith("a=candidate")))
    if len(named) > CANDIDATES_MAX:
        raise OfferError(f"there are more than {CANDIDATES_MAX} candidates")
    if not username and not named and "a=end-of-candidates" not in lines:
        raise OfferError("the fragment has neither ICE credentials nor candidates")
    usable = (found for line in named if (found := _CANDIDATE.fullmatch(line)) and reach.usable(line))
    return Fragment(username, password, tuple(Candidate.from_sdp(found[1]) for found in usable))  # what follows means nothing


def written_fragment(username: str, password: str, mid: str, candidates: Sequence[Candidate]) -> str:
    """A fragment that tells a peer of our own ICE side, complete; `mid` names the section that the others are bundled to."""
    credentials = (f"a=ice-ufrag:{username}", f"a=ice-pwd:{password}")
    section = ("m=audio 9 UDP/TLS/RTP/SAVPF 0", f"a=mid:{mid}")
    ours = (f"a=candidate:{candidate.to_sdp()}" for candidate in candidates)
    return "\r\n".join((*credentials, *section, *ours, "a=end-of-candidates", ""))


def _word(lines: Sequence[str], name: str) -> str:
    found = {line.removeprefix(name) for line in lines if line.startswith(name)}
    if len(found) > 1 or not all(ICE_WORD.fullmatch(word) for word in found):
        raise OfferError(f"{name} must say one thing, in the letters of ICE")
    return next(iter(found), "")
