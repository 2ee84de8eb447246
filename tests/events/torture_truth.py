"""What a case of the torture corpus is, and the truth that is stored beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torture_builder import Bits, Places, Tube, Value

#: Every row of the table, phrase by phrase.
TOPICS = (
    "versions", "integers", "packed bits", "floats", "ascii", "mixed types", "byte order", "delimiters", "encoding",
    "few events", "supplemental text", "analysis", "amplifier, gain, time", "data sets", "offsets", "total",
    "truncation", "overlap", "absurd offsets", "text damage", "contradictions", "missing keywords", "not finite",
    "checksum", "not a file", "spillover", "hostile text",
)  # fmt: skip

#: ``either``: nothing but the truth, or a refusal; the standard does not settle which.
Outcome = Literal["loads", "refused", "either"]


class Unavailable(Exception):
    """This machine cannot make the case, such as an unreadable file for the superuser."""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What must come of a case.

    Attributes
    ----------
    outcome : str
        ``loads``, ``refused`` or ``either``.
    rows, names, version, keywords, absent, analysis, scale, time_step
        What a sample must hold; None and empty: not looked at. ``absent`` keywords must not be there.
    n_events, first, last
        For tubes too large to list.
    conforms : bool or None
        True: no note of kind repair. False: at least one, and refused with ``repair="none"``. None: the standard is
        silent or versions differ, so either.
    review : bool
        Must carry a note of severity ``review``.
    notes : tuple of str
        Codes of which at least one must be noted.
    note_says : tuple of str
        Each must stand in some note.
    says : tuple of tuples of str
        Of each tuple one must stand in the refusal (any case).
    numbers : callable or None
        From the true places to tuples of numbers; of each tuple one must stand in the refusal.
    codes : tuple of str
        Codes a refusal may have; empty: any.
    salvage : list of rows or None
        What ``repair="salvage"`` must give, with a note for review. None: as in safe mode, or for a refused case no
        sample without such a note, and no events but the first ones of ``rows``. ``salvage_n`` for large tubes.
    spillover : None, "refused", or (detectors, matrix)
        What the keyword must give; ``spillover_may_fail`` where refusing it is as good, ``spillover_noted`` where using
        it takes a note.
    """

    outcome: Outcome
    rows: Sequence[Sequence[Value]] | None = None
    names: Sequence[str] | None = None
    version: str | None = None
    n_events: int | None = None
    first: Sequence[Sequence[Value]] = ()
    last: Sequence[Sequence[Value]] = ()
    keywords: Mapping[str, str] = field(default_factory=dict)
    absent: Sequence[str] = ()
    analysis: Mapping[str, str] | None = None
    scale: Mapping[str, Sequence[float]] = field(default_factory=dict)
    time_step: float | Literal["none"] | None = None
    conforms: bool | None = True
    review: bool = False
    notes: tuple[str, ...] = ()
    note_says: tuple[str, ...] = ()
    says: tuple[tuple[str, ...], ...] = ()
    numbers: Callable[[Places], Sequence[Sequence[int]]] | None = None
    codes: tuple[str, ...] = ()
    salvage: Sequence[Sequence[Value]] | None = None
    salvage_n: int | None = None
    spillover: Literal["refused"] | tuple[Sequence[str], Sequence[Sequence[float]]] | None = None
    spillover_may_fail: bool = False
    spillover_noted: bool = False

    def to_dict(self, numbers: Sequence[Sequence[int]]) -> dict[str, Any]:
        """Plain values for JSON; bits of floating-point values as hexadecimal."""

        def plain(value: Any) -> Any:
            if isinstance(value, Bits):
                return f"0x{value.pattern:0{2 * value.size}x}"
            if isinstance(value, Mapping):
                return {key: plain(v) for key, v in value.items()}
            return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value

        out = {key: plain(value) for key, value in vars(self).items() if key != "numbers"}
        return {**out, "numbers": [list(group) for group in numbers]}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One file and its truth; ``make`` gives its bytes, or ``put`` makes it in a folder and returns its path."""

    name: str
    topic: str
    truth: Truth
    make: Callable[[], bytes] | None = None
    put: Callable[[Path], Path | str] | None = None
    tube: Tube | None = None
    file_name: str = ""
    data_set: int = 0
    n_data_sets: int | None = None

    def write(self, folder: Path) -> Path | str:
        """Make the file in a folder of its own; `Unavailable` where this machine cannot."""
        if self.put:
            return self.put(folder)
        assert self.make
        path = folder / (self.file_name or f"{self.name}.fcs")
        path.write_bytes(self.make())
        return path

    def numbers(self) -> Sequence[Sequence[int]]:
        """Numbers a refusal must name."""
        if self.truth.numbers is None:
            return ()
        return self.truth.numbers(self.tube.places if self.tube else Places((0, 0), (0, 0), None, None, 0))


@dataclass
class Book:
    """Cases of one module, added one by one."""

    topic: str
    cases: list[Case] = field(default_factory=list)

    def add(self, outcome: Outcome, name: str, source: Any, *, topic: str = "", **more: Any) -> None:
        place = {key: more.pop(key) for key in ("data_set", "n_data_sets", "file_name", "put", "tube") if key in more}
        if isinstance(source, Tube):
            place["tube"], make = source, source.build
            more.setdefault("rows", source.rows)
            if outcome != "refused":
                more.setdefault("names", source.names)
                more.setdefault("version", source.version)
        else:
            make = (lambda: source) if isinstance(source, bytes) else source
        truth = Truth(outcome=outcome, **more)
        self.cases.append(Case(name=name, topic=topic or self.topic, truth=truth, make=make, **place))

    def loads(self, name: str, source: Any, **more: Any) -> None:
        """Must load and be right."""
        self.add("loads", name, source, **more)

    def odd(self, name: str, source: Any, **more: Any) -> None:
        """Must load and be right, with a note of kind repair; refused with ``repair="none"``."""
        self.add("loads", name, source, **{"conforms": False, **more})

    def either(self, name: str, source: Any, **more: Any) -> None:
        """Must be right with a note of kind repair, or refused; refused with ``repair="none"``."""
        self.add("either", name, source, **{"conforms": False, **more})

    def refused(self, name: str, source: Any, **more: Any) -> None:
        """Must be refused."""
        self.add("refused", name, source, **more)
