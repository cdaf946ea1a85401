"""Looking at a stranger's offer before aiortc acts on it.

aiortc trusts what it parses: of mutated offers one in six raises something
unexpected, and every candidate in one is an address that it sends datagrams
to. So an offer is measured, parsed and cleaned here first, and whatever goes
wrong becomes one `OfferError`.
"""

import re
from dataclasses import dataclass

from aiortc.sdp import MediaDescription, SessionDescription

from engine.errors import MienError
from streaming.rtc.reach import Reach

SDP_MAX = 32 * 1024  # bytes
CANDIDATES_MAX = 20
KINDS = ("audio", "video")
SENDS = ("sendonly", "sendrecv")
WATCHES = ("recvonly", "sendrecv")

_FINGERPRINT = re.compile(r"([0-9A-Fa-f]{2}:){19,63}[0-9A-Fa-f]{2}")
ICE_WORD = re.compile(r"[A-Za-z0-9+/=_-]{4,256}")  # RFC 8839's ice-char, and what browsers really send


class OfferError(MienError):
    """An offer that cannot be answered; the message is one line for whoever sent it."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer that is safe to hand on: `sdp` without unwanted candidates, its media kinds in order."""

    sdp: str
    kinds: tuple[str, ...]
    candidates: int  # that were kept
    sent: frozenset[str] = frozenset()  # the kinds that the far side would send
    username: str = ""  # of its ICE side


def checked_offer(text: str, *, sends: bool, reach: Reach) -> Offer:
    """Check an SDP offer and clean it.

    Args:
        text: the offer as it came.
        sends: whether the far side sends a voice or a camera's pictures (WHIP) rather than watching (WHEP).
        reach: the addresses that may be sent to.

    Raises:
        OfferError: for anything that is not an offer we can answer.
    """
    if len(text.encode(errors="replace")) > SDP_MAX:
        raise OfferError(f"the offer is larger than {SDP_MAX // 1024} kB")
    sdp, candidates = _without_unwanted_candidates(text, reach)
    try:
        description = SessionDescription.parse(sdp)
        _check(description, sends=sends)
    except OfferError:
        raise
    except Exception as error:  # the parser's own failures are of every kind
        raise OfferError("the offer is not valid SDP") from error
    sent = frozenset(media.kind for media in description.media if media.direction in SENDS)
    kinds, ice = tuple(media.kind for media in description.media), description.media[0].ice
    return Offer(sdp, kinds, candidates, sent, (ice and ice.usernameFragment) or "")


def cleaned_answer(text: str, reach: Reach) -> tuple[str, int]:
    """The answer of a server that we chose, with the candidates that may be checked, and their number.

    Raises:
        OfferError: if it is too large or names too many candidates.
    """
    if len(text.encode(errors="replace")) > SDP_MAX:
        raise OfferError(f"the answer is larger than {SDP_MAX // 1024} kB")
    return _without_unwanted_candidates(text, reach)


def _check(description: SessionDescription, *, sends: bool) -> None:
    kinds = [media.kind for media in description.media]
    if not kinds or any(kind not in KINDS for kind in kinds) or len(set(kinds)) < len(kinds):
        raise OfferError("the offer must have one audio or video section each, and nothing else")
    if sends and not any(media.direction in SENDS for media in description.media):
        raise OfferError("the offer sends neither audio nor video")
    mids = [media.rtp.muxId for media in description.media]
    if not all(mids) or len(set(mids)) < len(mids) or any(len(mid) > 16 or not mid.isascii() for mid in mids):
        raise OfferError("every section of the offer needs its own a=mid")
    bundles = [group.items for group in description.group if group.semantic == "BUNDLE"]
    if bundles != [mids] and (bundles or len(mids) > 1):
        raise OfferError("the offer must bundle its sections (a=group:BUNDLE)")
    for media in description.media:
        if not sends and media.direction not in WATCHES:
            raise OfferError(f"the offer's {media.kind} must be {' or '.join(WATCHES)}, got {media.direction}")
        _check_media(media)


def _check_media(media: MediaDescription) -> None:
    secrets = (media.ice.usernameFragment, media.ice.password) if media.ice else ()
    if not secrets or not all(secret and ICE_WORD.fullmatch(secret) for secret in secrets):
        raise OfferError("the offer has no valid ICE credentials")
    if media.dtls is None or not any(
        f.algorithm.lower() == "sha-256" and _FINGERPRINT.fullmatch(f.value) for f in media.dtls.fingerprints
    ):
        raise OfferError("the offer has no SHA-256 fingerprint")
    if media.dtls.role not in ("auto", "client", "server"):
        raise OfferError("the offer has no a=setup")
    if not media.rtcp_mux:
        raise OfferError("the offer must multiplex RTCP (a=rtcp-mux)")
    for extension in media.rtp.headerExtensions:
        if not 1 <= extension.id <= 255:
            raise OfferError("the offer has a header extension with an id out of range")


def _without_unwanted_candidates(text: str, reach: Reach) -> tuple[str, int]:
    """The description with only the candidates that may be sent to, and their number.

    Media are bundled, so only the first section's candidates are real; aiortc
    takes the last section's for the bundle, so that is where they go. The end
    of candidates is not passed on: a browser that hides its addresses offers
    none that can be used and is found by its own checks.
    """
    kept: list[str] = []
    usable: list[str] = []
    candidates = sections = 0
    for line in text.splitlines():
        sections += line.startswith("m=")
        if line.startswith("a=candidate"):
            candidates += sections <= 1
            if candidates > CANDIDATES_MAX:
                raise OfferError(f"there are more than {CANDIDATES_MAX} candidates")
            if sections == 1 and reach.usable(line):
                usable.append(line)
        elif not line.startswith("a=end-of-candidates"):
            kept.append(line)
    return "\r\n".join([*kept, *usable]) + "\r\n", len(usable)
