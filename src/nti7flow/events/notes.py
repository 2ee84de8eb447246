"""`Note`: something odd about a file that was read all the same; and how a reader decides whether to go on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from nti7flow.errors import FcsError
from nti7flow.events.codes import CODES, Code, Severity

Repair = Literal["safe", "none", "salvage"]


@dataclass(frozen=True, slots=True)
class Note:
    """Something odd about a file that was read all the same.

    Attributes
    ----------
    code : str
        Stable code, such as ``FCS012``; `nti7flow.events.codes` has the table.
    found : str
        What is in the file.
    assumed : str
        How it was read.
    """

    code: str
    found: str
    assumed: str

    @property
    def text(self) -> str:
        """Both in one line."""
        return f"{CODES[self.code].title}: found {self.found}; {self.assumed}"

    @property
    def severity(self) -> Severity:
        """``info``, or ``review`` where a person must look before a count is used."""
        return CODES[self.code].severity

    def __str__(self) -> str:
        return f"[{self.code}] {self.text}"


def refusal(
    code: Code, *, path: str, found: str, expected: str = "", byte_offset: int | None = None, what_to_do: str = ""
) -> FcsError:
    """Make the error for a code of the table."""
    return FcsError(
        code.code,
        code.title,
        path=path,
        found=_short(found),
        expected=expected,
        what_to_do=what_to_do or code.what_to_do,
        byte_offset=byte_offset,
    )


#: What was found is listed up to this many times under one code.
_SHOWN = 5
#: Letters of a file that go into a note.
_LONGEST = 600


@dataclass
class Findings:
    """Notes gathered while one data set is read, under what the caller lets pass."""

    path: str
    repair: Repair = "safe"
    _found: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[Note, ...]:
        """One note for each code and assumption, naming the first places where it was found."""
        return tuple(Note(code, _listing(found), assumed) for (code, assumed), found in self._found.items())

    def take(self, other: Findings) -> None:
        """Add what another reading of the same bytes found."""
        for key, found in other._found.items():
            self._found.setdefault(key, []).extend(found)

    def add(self, code: Code, *, found: str, assumed: str, byte_offset: int | None = None) -> None:
        """Note something, or refuse the file where the caller does not let it pass."""
        if (code.kind == "repair" and self.repair == "none") or (code.kind == "salvage" and self.repair != "salvage"):
            raise refusal(code, path=self.path, found=found, expected="a conforming file", byte_offset=byte_offset)
        listed = self._found.setdefault((code.code, assumed), [])
        if found not in listed:
            listed.append(found)


def _listing(found: list[str]) -> str:
    shown = ", ".join(_short(text) for text in found[:_SHOWN])
    return shown if len(found) <= _SHOWN else f"{shown} and {len(found) - _SHOWN} more"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
