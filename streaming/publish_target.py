"""Where sessions are pushed to, as the operator says it."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

PLACEHOLDER: Final = "{session}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where to push to.

    Attributes:
        url: of the WHIP endpoint; with `{session}` in it every session has one of its own, else the first one is pushed.
        token: what the endpoint asks for, sent as `Authorization: Bearer`.

    Raises:
        ValueError: if it is no address, or a token would travel in the clear.
    """

    url: str
    token: str | None = None

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            host = parts.hostname
            _ = parts.port  # raises when it is no number
        except ValueError as error:
            raise ValueError(f"{self.url[:80]!r} is not an address ({error})") from error
        if parts.scheme not in ("http", "https") or not host:
            raise ValueError(f"{self.url[:80]!r} is not an address: write https://HOST/PATH")
        if self.token and parts.scheme == "http" and host not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("a token is sent over https only, or anybody on the way could read it")

    @property
    def name(self) -> str:
        """Its host and port, fit to be logged: paths of such addresses may be secret."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def takes_all(self) -> bool:
        """Whether every session has an address of its own."""
        return PLACEHOLDER in self.url

    def of(self, session_id: str) -> str:
        """The endpoint for a session."""
        return self.url.replace(PLACEHOLDER, session_id)
