import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streaming.rtc.offer import CANDIDATES_MAX, SDP_MAX, Offer, OfferError, checked_offer
from streaming.rtc.reach import Reach
from tests.unit.rtc_offers import CANDIDATES, FINGERPRINT, broken_offers, offer


def checked(text: str, *, sends: bool = False, private: bool = True) -> Offer:
    return checked_offer(text, sends=sends, reach=Reach(private=private))


def candidate(host: str, *, transport: str = "udp", port: int = 50_000) -> str:
    return f"a=candidate:1 1 {transport} 2122194687 {host} {port} typ host"


def kept(*hosts: str, private: bool) -> int:
    return checked(offer(candidates=tuple(map(candidate, hosts))), private=private).candidates


def test_a_browsers_offer_is_accepted_in_its_order():
    assert checked(offer()).kinds == ("audio", "video")
    assert checked(offer("video", "audio")).kinds == ("video", "audio")
    assert checked(offer("audio", direction="sendonly"), sends=True).kinds == ("audio",)
    assert checked(offer(direction="sendonly"), sends=True).kinds == ("audio", "video")


def test_candidates_of_the_bundle_go_where_aiortc_looks_for_them():
    cleaned = checked(offer())
    assert cleaned.candidates == 2
    last = cleaned.sdp.split("m=")[-1]
    assert [line for line in last.split("\r\n") if "candidate" in line] == list(CANDIDATES[:2])
    assert cleaned.sdp.count("a=candidate") == 2


def test_candidates_that_may_not_be_sent_to_are_dropped():
    assert kept("169.254.169.254", "a8b2b4b5-0000-4000-8000-123456789abc.local", "", private=True) == 0
    assert kept("10.0.0.1", "8.8.8.8", private=False) == 1
    assert kept("10.0.0.1", "8.8.8.8", private=True) == 2


def test_two_hundred_candidates_are_refused_whichever_they_are():
    hosts = (f"10.0.{i // 250}.{i % 250}" for i in range(200))
    with pytest.raises(OfferError, match="more than 20 candidates"):
        checked(offer(candidates=tuple(map(candidate, hosts))))


@pytest.mark.parametrize("line", [candidate("8.8.8.8", transport="tcp"), candidate("8.8.8.8", port=53), "a=candidate:1 1 udp"])
def test_only_udp_on_ports_of_users(line: str):
    assert checked(offer(candidates=(line,))).candidates == 0


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "one audio or video section"),
        ("hello", "one audio or video section"),
        (offer() + "a=" + "x" * SDP_MAX, "larger than 32 kB"),
        (offer(candidates=(candidate("8.8.8.8"),) * (CANDIDATES_MAX + 1)), "more than 20 candidates"),
        (offer("audio", "audio"), "one audio or video section"),
        (offer().replace("m=video", "m=application"), "one audio or video section"),
        (offer(direction="sendonly"), "must be recvonly or sendrecv"),
        (offer().replace("a=mid:1", "a=mid:0"), "own a=mid"),
        (offer().replace("BUNDLE 0 1", "BUNDLE 0"), "bundle"),
        (offer().replace("a=ice-pwd:DAZRGs2Rw5SerKzZRIzk9Lbr\r\n", ""), "ICE credentials"),
        (offer().replace(FINGERPRINT, "00:11"), "SHA-256 fingerprint"),
        (offer().replace("a=setup:actpass\r\n", ""), "SHA-256 fingerprint"),
        (offer().replace("a=setup:actpass", "a=setup:holdconn"), "not valid SDP"),
        (offer().replace("a=rtcp-mux\r\n", ""), "rtcp-mux"),
        (offer().replace("a=extmap:2", "a=extmap:0"), "out of range"),
        (offer().replace("opus/48000/2", "opus"), "not valid SDP"),
    ],
)
def test_what_cannot_be_answered_is_said_in_one_line(text: str, line: str):
    with pytest.raises(OfferError, match=line) as caught:
        checked(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 120


def test_a_speaker_sends_a_voice_or_pictures_or_both():
    both = checked(offer(direction="sendonly"), sends=True)
    assert both.sent == {"audio", "video"}
    assert checked(offer("video", direction="sendonly"), sends=True).sent == {"video"}
    voice = offer(direction="sendonly").replace("a=mid:1\r\na=sendonly", "a=mid:1\r\na=inactive")
    assert checked(voice, sends=True).sent == {"audio"}
    with pytest.raises(OfferError, match="sends neither audio nor video"):
        checked(offer(direction="recvonly"), sends=True)


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(broken_offers(), st.booleans())
def test_a_broken_offer_raises_nothing_else(text: str, sends: bool):
    with contextlib.suppress(OfferError):
        assert checked(text, sends=sends).kinds


@given(st.text(st.characters(codec="latin-1"), max_size=300))
def test_any_text_raises_nothing_else(text: str):
    with pytest.raises(OfferError):
        checked(text)
