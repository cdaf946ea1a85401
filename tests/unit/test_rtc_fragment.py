import contextlib

import pytest
from aioice import Candidate
from hypothesis import given
from hypothesis import strategies as st

from streaming.rtc.fragment import Fragment, checked_fragment, written_fragment
from streaming.rtc.offer import CANDIDATES_MAX, OfferError
from streaming.rtc.reach import Reach

CREDENTIALS = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"
SECTION = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
CANDIDATE = "a=candidate:1 1 udp 2122194687 {} {} typ host generation 0 ufrag EsAw network-id 1\r\n"


def checked(text: str, *, private: bool = True) -> Fragment:
    return checked_fragment(text, Reach(private=private))


def test_a_browsers_fragment_is_read():
    fragment = checked(CREDENTIALS + SECTION + CANDIDATE.format("192.168.1.7", 51117) + "a=end-of-candidates\r\n")
    assert (fragment.username, fragment.password) == ("EsAw", "P2uYro0UCOQ4zxjKXaWCBui1")
    assert [(c.host, c.port, c.type) for c in fragment.candidates] == [("192.168.1.7", 51117, "host")]


def test_what_follows_a_candidates_type_means_nothing():
    line = CANDIDATE.format("192.168.1.7", 51117)
    odd = [line.replace("generation 0", more) for more in ("generation x", "rport y raddr", "a  b")]
    assert len(checked(CREDENTIALS + SECTION + "".join(odd)).candidates) == 3


def test_what_is_written_is_read_again():
    ours = Candidate("1", 1, "udp", 2130706431, "127.0.0.1", 40_000, "host")
    text = written_fragment("abcd", "P2uYro0UCOQ4zxjKXaWCBui1", "0", [ours])
    fragment = checked(text)
    assert (fragment.username, fragment.password) == ("abcd", "P2uYro0UCOQ4zxjKXaWCBui1")
    assert [c.to_sdp() for c in fragment.candidates] == [ours.to_sdp()]
    assert text.endswith("a=end-of-candidates\r\n")


def test_the_same_candidate_in_every_section_of_a_bundle_counts_once():
    line = CANDIDATE.format("10.0.0.1", 50_000)
    assert len(checked(CREDENTIALS + SECTION + line + SECTION.replace("mid:0", "mid:1") + line).candidates) == 1


def test_addresses_of_others_are_left_out():
    hosts = ("169.254.169.254", "224.0.0.1", "a8b2b4b5-0000-4000-8000-123456789abc.local", "10.0.0.1", "8.8.8.8")
    text = CREDENTIALS + SECTION + "".join(CANDIDATE.format(host, 50_000) for host in hosts)
    assert [c.host for c in checked(text, private=False).candidates] == ["8.8.8.8"]


def test_damaged_candidates_are_left_out():
    lines = ("a=candidate:1 1 udp 1 8.8.8.8 50000 typ alien", "a=candidate:1 x udp 1 8.8.8.8 50000 typ host", "a=candidate:")
    assert checked(CREDENTIALS + SECTION + "\r\n".join(lines)).candidates == ()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "neither ICE credentials nor candidates"),
        ("hello", "neither ICE credentials nor candidates"),
        ("a=ice-ufrag:EsAw\r\n", "belong together"),
        ("a=ice-ufrag:E w\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1", "in the letters of ICE"),
        (CREDENTIALS + "a=ice-ufrag:Other\r\n", "must say one thing"),
        ("".join(CANDIDATE.format("8.8.8.8", 50_000 + i) for i in range(CANDIDATES_MAX + 1)), "more than 20 candidates"),
    ],
)
def test_what_is_no_fragment_is_said_in_one_line(text: str, line: str):
    with pytest.raises(OfferError, match=line) as caught:
        checked(text)
    assert "\n" not in str(caught.value)


@given(st.text(st.sampled_from("a=candidate:1udp host typ.\r\n-ice-ufrag:pwd0 99999999999é\x00"), max_size=400))
def test_any_text_raises_nothing_else(text: str):
    with contextlib.suppress(OfferError):
        checked(text)
    with contextlib.suppress(OfferError):
        checked(CREDENTIALS + SECTION + "a=candidate:" + text)
