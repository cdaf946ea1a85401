import pytest

from streaming.cli.main import main
from streaming.publish_target import Target


def test_a_target_names_an_endpoint_for_each_session_or_one():
    assert Target("https://sfu.example/whip/{session}").of("a1") == "https://sfu.example/whip/a1"
    assert Target("https://sfu.example/whip/{session}").takes_all
    one = Target("https://sfu.example:8443/whip/secret-room")
    assert (one.of("a1"), one.takes_all) == ("https://sfu.example:8443/whip/secret-room", False)


def test_what_is_logged_of_it_tells_no_secret():
    assert Target("https://me:word@sfu.example:8443/whip/secret?key=1").name == "sfu.example:8443"


@pytest.mark.parametrize("url", ["", "sfu.example/whip", "ftp://sfu.example", "https://", "https://a:b", "https://[::1"])
def test_what_is_no_address_is_refused_in_one_line(url: str):
    with pytest.raises(ValueError, match="is not an address") as caught:
        Target(url)
    assert "\n" not in str(caught.value)


def test_a_token_does_not_travel_in_the_clear():
    with pytest.raises(ValueError, match="https only"):
        Target("http://sfu.example/whip", "token")
    assert Target("http://localhost:7080/whip", "token").token == "token"


def test_the_command_line_says_what_is_wrong_in_one_line(capsys: pytest.CaptureFixture[str]):
    assert main(["serve", "--publish", "sfu.example"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
