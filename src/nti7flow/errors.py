"""The exception tree.

Every message says what went wrong, where, what was found and what to do. The command line prints the
message alone, without a traceback, and exits with code 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class Nti7flowError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigError(Nti7flowError):
    """A template, study file or sheet is wrong; lists every problem found."""


class InputError(Nti7flowError):
    """An input file cannot be used as it is."""


class FcsError(InputError):
    """A file is not FCS, is damaged, or uses a feature that is not read."""


class UnknownMarker(InputError):
    """A marker that no channel of the panel carries."""


class AmbiguousMarker(InputError):
    """A marker that more than one channel could carry."""


class MissingSpillover(InputError):
    """No spillover matrix, and nobody declared that there is none."""


class SpilloverError(InputError):
    """A spillover matrix that cannot be used: malformed, unknown detectors, or singular."""


class StoreError(Nti7flowError):
    """A run folder is incomplete, altered, or cannot be written."""


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest known name, or an empty string."""
    names = {name.casefold(): name for name in known}
    close = get_close_matches(found.casefold(), names, n=1, cutoff=0.6)
    return f" Did you mean '{names[close[0]]}'?" if close else ""
