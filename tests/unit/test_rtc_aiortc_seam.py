import contextlib

import aioice.ice
import aioice.stun
import aiortc
import pytest

from streaming.rtc import aiortc_seam as seam


def test_aiortc_is_as_it_was_when_we_reached_into_it():
    seam.check()


def test_another_aiortc_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(aiortc, "__version__", "1.17.0")
    with pytest.raises(RuntimeError, match=r"aiortc 1\.16 is needed, 1\.17\.0 is installed"):
        seam.check()


def test_moved_internals_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(aioice.ice, "CONSENT_INTERVAL")
    with pytest.raises(RuntimeError, match="CONSENT_INTERVAL is gone"):
        seam.check()


def test_a_vanished_peer_is_noticed_within_15_s_and_a_hole_of_8_s_ends_nobody():
    answer_s, since_the_last_check_s = 0.5, 1.2 * seam.CONSENT_INTERVAL_S
    assert seam.CONSENT_FAILURES * (1.2 * seam.CONSENT_INTERVAL_S + answer_s) <= 15
    assert seam.CONSENT_FAILURES * (0.8 * seam.CONSENT_INTERVAL_S + answer_s) - since_the_last_check_s > 8


def test_damaged_stun_messages_raise_nothing_unexpected():
    message = aioice.stun.Message(aioice.stun.Method.BINDING, aioice.stun.Class.REQUEST)
    message.attributes["PRIORITY"] = 5
    whole = bytes(message)
    assert seam.parse_stun(whole).attributes["PRIORITY"] == 5
    for end in range(20, len(whole)):
        cut = whole[:2] + (end - 20).to_bytes(2, "big") + whole[4:end]
        with contextlib.suppress(ValueError):
            seam.parse_stun(cut)


def test_link_local_addresses_are_not_offered(monkeypatch: pytest.MonkeyPatch):
    found = ["169.254.3.4", "192.168.1.2", "fd00::2", *(f"10.0.0.{i}" for i in range(20))]
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: found)  # pyright: ignore
    assert seam.host_addresses(loopback=True)[:3] == ["127.0.0.1", "192.168.1.2", "fd00::2"]
    assert seam.host_addresses(loopback=False)[0] == "192.168.1.2"
    assert len(seam.host_addresses(loopback=True)) == 8
