"""Counts as a picture needs them, and how numbers are written."""

from __future__ import annotations

from typing import Protocol


class CountLike(Protocol):
    """What a picture needs to know of a population; `nti7flow.counting.fractions.Count` does."""

    @property
    def population(self) -> str:
        """Its id."""
        ...

    @property
    def label(self) -> str:
        """Its name."""
        ...

    @property
    def n_events(self) -> int | None:
        """Events in it."""
        ...

    @property
    def percent_parent(self) -> float | None:
        """Share of the parent."""
        ...

    @property
    def percent_lymphocytes(self) -> float | None:
        """Share of the lymphocytes."""
        ...

    @property
    def status(self) -> str:
        """Status of its gate."""
        ...

    @property
    def severity(self) -> str:
        """Empty, info, review or invalid."""
        ...


NOTHING = "–"


def number(value: float | None) -> str:
    """``4,808``; a dash for what is not known."""
    return NOTHING if _unknown(value) else f"{value:,.0f}"


def n_events_in_words(n_events: int) -> str:
    """``4,808 events``."""
    return f"{number(n_events)} event{'' if n_events == 1 else 's'}"


def percent(value: float | None, *, unit: str = " %") -> str:
    """``60.5 %``; what is there but rounds to nothing is ``<0.1 %``, and what is not known a dash."""
    if value is None or _unknown(value):
        return NOTHING
    return (f"{value:.1f}" if value == 0 or value >= 0.05 else "<0.1") + unit


def _unknown(value: float | None) -> bool:
    """Null, in memory (None) or read back from a table (NaN)."""
    return value is None or value != value
