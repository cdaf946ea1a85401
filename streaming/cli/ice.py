"""The options that name STUN and TURN servers, for `serve` and `doctor`."""

import argparse
import os

from streaming.config import Refused
from streaming.rtc.servers import IceServers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--ice-server`, `--turn-secret` and `--turn-user`."""
    add = parser.add_argument
    add(
        "--ice-server",
        action="append",
        default=[],
        metavar="URL",
        help="STUN or TURN server, several times if need be: stun:HOST, turn:HOST, turn:HOST?transport=tcp, turns:HOST",
    )
    add(
        "--turn-secret",
        default=os.environ.get("MIEN_TURN_SECRET"),
        metavar="SECRET",
        help="shared with the TURN server (coturn: use-auth-secret), for credentials that expire; also as MIEN_TURN_SECRET",
    )
    add(
        "--turn-user",
        default=os.environ.get("MIEN_TURN_USER"),
        metavar="NAME:PASSWORD",
        help="of a TURN server that has no shared secret; also as MIEN_TURN_USER",
    )


def chosen(args: argparse.Namespace) -> IceServers:
    """The servers that were named.

    Raises:
        Refused: if one is none, or TURN has no credentials.
    """
    username, colon, password = (args.turn_user or "").partition(":")
    if args.turn_user and not (username and colon and password):
        raise Refused("--turn-user is NAME:PASSWORD")
    try:
        return IceServers(tuple(args.ice_server), args.turn_secret or None, username or None, password or None)
    except ValueError as error:
        raise Refused(f"--ice-server, --turn-secret, --turn-user: {error}") from error
