import base64
import hashlib
import hmac

import pytest

from streaming.rtc.servers import CREDENTIAL_S, IceServer, IceServers


def test_an_address_says_where_and_how():
    assert (IceServer("stun:stun.example.org").place, IceServer("stun:s.org").relays) == (("stun.example.org", 3478), False)
    over_tls = IceServer("turns:turn.example.org")
    assert (over_tls.place, over_tls.transport, over_tls.relays) == (("turn.example.org", 5349), "tcp", True)
    over_tcp = IceServer("turn:10.0.0.1:443?transport=tcp")
    assert (over_tcp.place, over_tcp.transport) == (("10.0.0.1", 443), "tcp")
    assert IceServer("turn:a.org").transport == "udp"


BAD = (
    "", "example.org", "http://example.org", "stun:", "stun:a b", "turn:a.org:99999", "turn:a.org?transport=sctp",
    "stuns:a.org", 'stun:a.org>; rel="x"', "stun:a.org?transport=udp", "turns:a.org?transport=udp", "stun:a.org\r\nX: y",
)  # fmt: skip


@pytest.mark.parametrize("url", BAD)
def test_what_is_no_server_is_refused_in_one_line(url: str):
    with pytest.raises(ValueError, match=r"\S") as caught:
        IceServer(url)
    assert len(str(caught.value).splitlines()) == 1


def test_turn_needs_one_kind_of_credentials():
    with pytest.raises(ValueError, match="needs a shared secret"):
        IceServers(("turn:a.org",))
    with pytest.raises(ValueError, match="needs a shared secret"):
        IceServers(("turn:a.org",), username="me")
    with pytest.raises(ValueError, match="not both"):
        IceServers(("turn:a.org",), secret="s", username="me", password="x")
    with pytest.raises(ValueError, match="no quotes"):
        IceServers(("turn:a.org",), username='me"', password="x")
    assert IceServers(("stun:a.org",)).at(0)[0].username is None


def test_short_lived_credentials_are_those_of_the_turn_rest_draft():
    stun, turn = IceServers(("stun:a.org", "turn:a.org"), secret="north").at(1_700_000_000.7)
    assert (stun.username, stun.credential) == (None, None)
    assert turn.username == str(1_700_000_000 + CREDENTIAL_S)
    assert turn.username is not None
    digest = hmac.new(b"north", turn.username.encode(), hashlib.sha1).digest()
    assert turn.credential == base64.b64encode(digest).decode()


def test_a_link_is_as_the_standard_writes_it():
    assert IceServer("stun:a.org").link == '<stun:a.org>; rel="ice-server"'
    wanted = '<turn:a.org>; rel="ice-server"; username="me"; credential="x="; credential-type="password"'
    assert IceServer("turn:a.org", "me", "x=").link == wanted
