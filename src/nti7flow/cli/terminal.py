"""What reaches a terminal: text it shows and does not obey, whatever a file or its name holds.

Everything the commands print goes through here or through the console of `nti7flow.cli.tables`.
"""

from __future__ import annotations

import logging
import sys

from nti7flow.errors import printable


def plain(text: str) -> str:
    r"""Text with its own line breaks, in which every other control character is spelled out, such as ``\x1b``."""
    return "\n".join(map(printable, text.split("\n")))


def say(text: str) -> None:
    """Print to standard output."""
    print(plain(text))


def complain(text: str) -> None:
    """Print to standard error."""
    print(plain(text), file=sys.stderr)


class LogFormatter(logging.Formatter):
    """A record's message on one line; a traceback keeps its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """Format the line of a record."""
        return printable(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """Format a record with its traceback."""
        return plain(super().format(record))


def log_to_stderr(*, level: int) -> None:
    """Send log records of a level and above to standard error, unless somebody has set up logging before."""
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
