"""The options that say where to push sessions to."""

import argparse
import os

from streaming.config import Refused
from streaming.publish_target import Target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--publish` and `--publish-token`."""
    add = parser.add_argument
    add("--publish", metavar="URL", help="push the session to a WHIP server; each to one of its own with {session} in the URL")
    add(
        "--publish-token",
        default=os.environ.get("MIEN_PUBLISH_TOKEN"),
        metavar="TOKEN",
        help="what that server asks for; also as MIEN_PUBLISH_TOKEN",
    )


def chosen(args: argparse.Namespace) -> Target | None:
    """Where to push to, if anywhere.

    Raises:
        Refused: if the address is none, or a token would travel in the clear.
    """
    if not args.publish:
        return None
    try:
        return Target(args.publish, args.publish_token or None)
    except ValueError as error:
        raise Refused(f"--publish: {error}") from error
