"""The exception tree.

Every message says what went wrong, where, what was found and what to do. The command line prints the
message alone, without a traceback, and exits with code 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


class Nti7flowError(Exception):
    """Base of every error this package raises on purpose."""

    def __str__(self) -> str:
        # Messages quote files: no name or keyword in one may steer the terminal that it ends up in.
        return "\n".join(map(printable, super().__str__().split("\n")))


class ConfigError(Nti7flowError):
    """A template, study file or sheet is wrong; lists every problem found."""


class InputError(Nti7flowError):
    """An input file cannot be used as it is."""


class FcsError(InputError):
    """A file is not FCS, is damaged, or uses a feature that is not read.

    Attributes
    ----------
    code : str
        Stable code, such as ``FCS012``; docs/reference lists them all.
    path : str
        The file.
    byte_offset : int or None
        Byte of the file, from 0, at which the fault was found; None where it has no place.
    found, expected : str
        What is there, and what should be.
    what_to_do : str
        Advice.
    """

    def __init__(
        self,
        code: str,
        title: str,
        *,
        path: str,
        found: str,
        expected: str = "",
        what_to_do: str = "",
        byte_offset: int | None = None,
    ) -> None:
        self.code = code
        self.title = title
        self.path = path
        self.byte_offset = byte_offset
        self.found = found
        self.expected = expected
        self.what_to_do = what_to_do
        place = "" if byte_offset is None else f" (byte {byte_offset:,})"
        wanted = f"; expected {expected}" if expected else ""
        advice = f" {what_to_do}" if what_to_do else ""
        super().__init__(printable(f"{path}: {title}{place}: found {found}{wanted}.{advice} [{code}]"))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by parts: a worker process hands its errors to the one that asked."""
        return (_rebuild_fcs_error, (type(self), dict(vars(self))))


def _rebuild_fcs_error(kind: type[FcsError], parts: dict[str, Any]) -> FcsError:
    return kind(parts.pop("code"), parts.pop("title"), **parts)


class StrategyError(InputError):
    """A file of gates cannot be used as it is; lists every problem found.

    Attributes
    ----------
    problems : tuple of str
        One line each: where, what was found, what to do.
    """

    def __init__(self, path: str, problems: Iterable[str] = ()) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{path}: {problem}" for problem in self.problems) or path)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by parts, for worker processes."""
        return (type(self), (self.path, self.problems))


class UnknownMarker(InputError):
    """A marker that no channel of the panel carries."""


class AmbiguousMarker(InputError):
    """A marker that more than one channel could carry."""


class _CodedError(InputError):
    """An error with the code of what is odd about the file; ``code`` is empty where the file is not to blame."""

    def __init__(self, message: str, *, code: str = "") -> None:
        self.code = code
        super().__init__(printable(f"{message} [{code}]" if code else message))


class MissingSpillover(_CodedError):
    """No spillover matrix, and nobody declared that there is none."""


class SpilloverError(_CodedError):
    """A spillover matrix that cannot be used: malformed, unknown detectors, or singular."""


class StoreError(Nti7flowError):
    """A run folder is incomplete, altered, or cannot be written."""


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest known name, or an empty string."""
    names = {name.casefold(): name for name in known}
    close = get_close_matches(found.casefold(), names, n=1, cutoff=0.6)
    return f" Did you mean '{printable(names[close[0]])}'?" if close else ""


def printable(text: str) -> str:
    r"""Return text that a terminal shows and does not obey: control and formatting characters as ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
