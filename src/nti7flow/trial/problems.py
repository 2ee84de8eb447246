"""What is wrong with sheets, and what is odd: one listing for all sheets that are read together."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

from nti7flow.errors import ConfigError, printable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SheetPlace:
    """Where a sheet is: a CSV file, or a worksheet of a workbook."""

    path: Path
    worksheet: str | None = None

    @property
    def name(self) -> str:
        """``samples.csv``, or ``trial.xlsx[samples]``."""
        return self.path.name if self.worksheet is None else f"{self.path.name}[{self.worksheet}]"

    def at(self, line: int) -> str:
        """Return a row as messages name it: ``samples.csv:12``."""
        return f"{self.name}:{line}"


@dataclass(frozen=True, slots=True)
class _Entry:
    place: SheetPlace | None  # None: the sheet could not be opened, or it is no sheet
    path: Path | None
    line: int
    text: str


@dataclass(frozen=True)
class Listing:
    """Everything wrong with the sheets of one reading, raised as a single `ConfigError`, and all remarks on them.

    A problem is certainly a mistake and stops the reading. A remark is about what may well be meant.
    """

    _problems: list[_Entry] = field(default_factory=list)
    _remarks: list[_Entry] = field(default_factory=list)
    _cells: set[tuple[SheetPlace, int, str]] = field(default_factory=set)
    _order: dict[SheetPlace | None, int] = field(default_factory=dict)

    def sheet(self, place: SheetPlace) -> Problems:
        """Return the part of the listing that is about one sheet; sheets are listed in the order of these calls."""
        self._order.setdefault(place, len(self._order))
        return Problems(place, self)

    def add_text(self, text: str, *, path: Path | None = None) -> None:
        """Note a problem that has no row: a sheet that cannot be opened, a setting."""
        self._problems.append(_Entry(None, path, 0, text))

    @property
    def remarks(self) -> tuple[str, ...]:
        """Remarks in the order of the sheets and their lines, each once."""
        return tuple(dict.fromkeys(entry.text for entry in self._sorted(self._remarks)))

    def raise_if_any(self) -> None:
        """Raise one `ConfigError` that lists all problems in the order of the sheets and their lines."""
        if not self._problems:
            return
        entries = self._sorted(self._problems)
        if len(entries) == 1 and entries[0].place is None:
            raise ConfigError(entries[0].text)
        paths = dict.fromkeys(str(entry.path) for entry in entries if entry.path is not None)
        count = "1 problem" if len(entries) == 1 else f"{len(entries)} problems"
        heading = f"{', '.join(paths)}: {count}" if paths else count
        raise ConfigError("\n  ".join([heading, *(entry.text for entry in entries)]))

    def log_remarks(self) -> None:
        """Log each remark as a warning."""
        for remark in self.remarks:
            logger.warning("%s", remark)

    def _sorted(self, entries: list[_Entry]) -> list[_Entry]:
        return sorted(entries, key=lambda entry: (self._order.get(entry.place, -1), entry.line))


@dataclass(frozen=True)
class Problems:
    """The part of a `Listing` that is about one sheet."""

    place: SheetPlace
    listing: Listing

    def add(self, line: int, column: str, found: str, *, expected: str, do: str) -> None:
        """Note a problem: what stands at (line, column), what should stand there, and the way out."""
        # Cells and headers of a spreadsheet may hold line breaks; an entry of the listing is one line.
        text = printable(f"{self.place.at(line)} {column}: found {found}; expected {expected}; {do}")
        text = text if text[-1] in ".?" else f"{text}."
        self.listing._problems.append(_Entry(self.place, self.place.path, line, text))
        self.listing._cells.add((self.place, line, column))

    def at(self, line: int, column: str) -> bool:
        """Whether a problem was noted for this cell."""
        return (self.place, line, column) in self.listing._cells

    def remark(self, line: int, column: str, text: str) -> None:
        """Note what is odd about a cell and may well be meant."""
        text = printable(f"{self.place.at(line)} {column}: {text}")
        text = text if text[-1] in ".?" else f"{text}."
        self.listing._remarks.append(_Entry(self.place, self.place.path, line, text))

    def raise_if_any(self) -> None:
        """Raise one `ConfigError` that lists the problems of all sheets of the listing."""
        self.listing.raise_if_any()
