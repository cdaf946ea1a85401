"""Offers as Chromium makes them, cut down to what matters, and ways to break them."""

from hypothesis import strategies as st

FINGERPRINT = ":".join(["AB"] * 32)
CANDIDATES = (
    "a=candidate:1 1 udp 2122194687 192.168.1.7 51117 typ host generation 0 network-id 1",
    "a=candidate:2 1 udp 2122265343 2a00:1450::7 44409 typ host generation 0 network-id 2",
    "a=candidate:3 1 tcp 1518214911 192.168.1.7 9 typ host tcptype active generation 0 network-id 1",
)

_HEAD = "v=0\r\no=- 7654327079779880956 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mids}\r\na=msid-semantic: WMS\r\n"
_TRANSPORT = """c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
{candidates}a=ice-ufrag:Qm0X
a=ice-pwd:DAZRGs2Rw5SerKzZRIzk9Lbr
a=ice-options:trickle
a=fingerprint:sha-256 {fingerprint}
a=setup:actpass
a=mid:{mid}
a={direction}
a=rtcp-mux
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
"""
_AUDIO = """m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0
{transport}a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:0 PCMU/8000
a=ssrc:1234 cname:abc
a=msid:stream track
"""
_VIDEO = """m=video 9 UDP/TLS/RTP/SAVPF 96 97 108 109
{transport}a=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 goog-remb
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:108 H264/90000
a=rtcp-fb:108 goog-remb
a=rtcp-fb:108 nack
a=rtcp-fb:108 nack pli
a=fmtp:108 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:109 rtx/90000
a=fmtp:109 apt=108
"""


def offer(*kinds: str, direction: str = "recvonly", candidates: tuple[str, ...] = CANDIDATES) -> str:
    """An offer with these sections; audio and video when none is named."""
    kinds = kinds or ("audio", "video")
    text = _HEAD.format(mids=" ".join(str(i) for i in range(len(kinds))))
    lines = "".join(line + "\n" for line in candidates)
    for mid, kind in enumerate(kinds):
        transport = _TRANSPORT.format(mid=mid, direction=direction, candidates=lines, fingerprint=FINGERPRINT)
        text += (_AUDIO if kind == "audio" else _VIDEO).format(transport=transport).replace("\n", "\r\n")
    return text


_WEIRD = st.sampled_from(
    ["", "-1", "99999999999", "x", "\x00", "0", "UDP", "::1", "a b c", "é", ":", "=", "/", "sha-1 00", "256"]
)


_TEXT = st.text(st.characters(codec="latin-1"), max_size=30)


@st.composite
def broken_offers(draw: st.DrawFn) -> str:
    """An offer with one to four things wrong: lines lost, doubled or moved, words replaced, text cut or garbled."""
    direction = draw(st.sampled_from(["recvonly", "sendrecv", "sendonly", "inactive"]))
    lines = offer(*draw(st.sampled_from([(), ("audio",), ("video", "audio")])), direction=direction).split("\r\n")
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.integers(0, 6)):
            case 0:
                lines[at : at + draw(st.integers(1, 5))] = []
            case 1:
                lines.insert(draw(st.integers(0, len(lines))), lines[at])
            case 2:
                words = lines[at].replace(":", ": ").split(" ")
                words[draw(st.integers(0, len(words) - 1))] = draw(_WEIRD)
                lines[at] = " ".join(words).replace(": ", ":")
            case 3:
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
            case 4:
                lines[at] = lines[at] + draw(_WEIRD)
            case 5:
                lines[at] = draw(_TEXT)
            case _:
                other = draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
        lines = lines or [""]
    return "\r\n".join(lines)
