"""`Spillover`: the matrix that says how much of each dye every detector sees."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nti7flow.errors import MissingSpillover, SpilloverError, did_you_mean, printable
from nti7flow.events.codes import BAD_SPILLOVER, CODES, NO_SPILLOVER, SPILLOVER_TWICE, UNNAMED_COMPENSATION
from nti7flow.events.markers import strip_prefix
from nti7flow.events.notes import Note
from nti7flow.events.panel import Panel
from nti7flow.events.sample import Sample
from nti7flow.events.spillover_keyword import read_keyword, shown

#: Keywords that hold a matrix. The first is that of the standard since FCS 3.1, $COMP that of 2.0 and 3.0.
KEYWORDS = ("$SPILLOVER", "SPILLOVER", "$SPILL", "SPILL", "$COMP", "COMP")
#: A matrix with a larger condition number than this cannot be inverted to any useful accuracy.
SINGULAR = 1e6
#: Above this the inverse amplifies noise so much that dim populations drown.
CONDITION_LIMIT = 30.0
#: Two keywords hold the same matrix if no number differs by more: programs round to six digits or more.
SAME = 1e-6
_SUBTRACTED = re.compile(r"\$DFC\d+TO\d+")


@dataclass(frozen=True, eq=False)
class Spillover:
    """How much of each dye every detector sees.

    Attributes
    ----------
    detectors : tuple of str
        Names of the d detectors ($PnN).
    matrix : ndarray of float64, shape (d, d)
        Row: dye; column: detector. The diagonal is 1: a dye's own detector sees it whole.
    source : str
        ``keyword``, the path of a CSV, or ``none`` (declared: nothing to compensate; d = 0).
    """

    detectors: tuple[str, ...]
    matrix: NDArray[np.float64]
    source: str

    def __post_init__(self) -> None:
        d = len(self.detectors)
        matrix = np.array(self.matrix, np.float64) if d else np.empty((0, 0))
        if matrix.shape != (d, d):
            shape = " × ".join(map(str, matrix.shape))
            raise SpilloverError(f"spillover ({self.source}): {shape} numbers for {d} detectors; it must be square.")
        if len(set(self.detectors)) != d:
            raise SpilloverError(f"spillover ({self.source}): a detector stands twice: {', '.join(self.detectors)}.")
        diagonal = matrix.diagonal()
        if (diagonal <= 0).any():
            bad = self.detectors[int(np.argmin(diagonal))]
            raise SpilloverError(
                f"spillover ({self.source}): the diagonal at {bad} is {diagonal.min():g}; it must be positive."
            )
        # Percent matrices and unscaled ones become unit-diagonal: only the ratios along a row mean anything.
        with np.errstate(all="ignore"):
            matrix = matrix / diagonal[:, None]
        if not np.isfinite(matrix).all():
            raise SpilloverError(f"spillover ({self.source}): holds values that are not finite numbers.")
        matrix.flags.writeable = False
        object.__setattr__(self, "matrix", matrix)
        if not self.condition_number <= SINGULAR:
            raise SpilloverError(
                f"spillover ({self.source}): the matrix is singular (condition number {self.condition_number:.3g}): "
                "two dyes have the same spectrum. Recompute it from the single stains."
            )

    @cached_property
    def condition_number(self) -> float:
        """Ratio of largest to smallest singular value; 1 for no spillover, above 30 noise is amplified a lot."""
        if not self.detectors:
            return 1.0
        with np.errstate(all="ignore"):
            try:
                singular = np.linalg.svd(self.matrix, compute_uv=False)
            except np.linalg.LinAlgError:  # numbers so large that the decomposition does not converge
                return float("inf")
            return float(singular[0] / singular[-1]) if singular[-1] > 0 else float("inf")

    @cached_property
    def compensation(self) -> NDArray[np.float64]:
        """Inverse of the matrix: compensated = raw @ compensation."""
        inverse = np.asarray(np.linalg.inv(self.matrix), np.float64)
        inverse.flags.writeable = False
        return inverse

    @classmethod
    def none(cls) -> Spillover:
        """Declare that there is nothing to compensate."""
        return cls((), np.empty((0, 0)), "none")

    @classmethod
    def from_keyword(cls, sample: Sample) -> Spillover | None:
        """Read the matrix stored in the file, or None where there is none.

        Raises
        ------
        SpilloverError
            It can be read in no way or in several, names unknown detectors, is singular, or two keywords disagree. What
            can be repaired is repaired; `spillover_notes` says how.
        """
        stored, notes = _stored(sample.keywords, sample.panel)
        for note in notes:
            if note.code == BAD_SPILLOVER.code:
                raise SpilloverError(f"{sample.path}: {_advised(note)}", code=note.code)
        return stored

    @classmethod
    def from_csv(cls, path: str | Path) -> Spillover:
        """Read a matrix whose header row names the detectors; a first column of names is allowed.

        Names may be those of FlowJo exports ("FITC-A :: CD3", "Comp-FITC-A"). Commas, semicolons or tabs separate.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise SpilloverError(
                f"{path}: no such spillover file. --spillover takes a CSV path, 'keyword' or 'none'."
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise SpilloverError(f"{path}: cannot be read as a CSV: {error}.") from None
        first = text.splitlines()[0] if text.strip() else ""
        separator = next((s for s in ("\t", ";", ",") if s in first), ",")
        try:
            lines = list(csv.reader(text.splitlines(), delimiter=separator))
        except csv.Error as error:
            raise SpilloverError(f"{path}: cannot be read as a CSV: {error}.") from None
        rows = [row for row in lines if any(cell.strip() for cell in row)]
        if len(rows) < 2:
            raise SpilloverError(f"{path}: is empty; a header row of detectors and one row per dye were expected.")
        header, body = [cell.strip() for cell in rows[0]], rows[1:]
        named = header[0] == "" or all(len(row) == len(header) + 1 for row in body) or not _is_number(body[0][0])
        names = [name for name in (header[1:] if named and len(body[0]) == len(header) else header) if name]
        cells = [row[1:] if named else row for row in body]
        try:
            numbers = [[float(cell.strip().replace(",", ".")) for cell in row if cell.strip()] for row in cells]
            matrix = np.array(numbers, np.float64)
        except ValueError:
            raise SpilloverError(f"{path}: holds a cell that is not a number, or rows of different length.") from None
        if matrix.ndim != 2 or matrix.shape != (len(names), len(names)):
            raise SpilloverError(f"{path}: {len(body)} rows for {len(names)} detectors; the matrix must be square.")
        if named:
            rows_named = [_plain(row[0]) for row in body]
            columns = [_plain(name) for name in names]
            if sorted(rows_named) != sorted(columns):
                raise SpilloverError(
                    f"{path}: its rows are named {', '.join(rows_named)}, its columns {', '.join(columns)}."
                )
            matrix = matrix[[rows_named.index(column) for column in columns]]
        return cls(tuple(_plain(name) for name in names), matrix, str(path))

    def for_panel(self, panel: Panel) -> Spillover:
        """Return the matrix with detectors named as in the panel; raises where a detector is missing there."""
        detectors = [channel.detector for channel in panel.channels]
        names: dict[str, list[str]] = {}
        for name in detectors:
            names.setdefault(strip_prefix(name)[0], []).append(name)
        names |= {name: [name] for name in detectors}
        missing = [d for d in self.detectors if d not in names]
        if missing:
            raise SpilloverError(
                f"spillover ({self.source}): detector {', '.join(missing)} is not in the tube, which has "
                f"{', '.join(detectors)}." + did_you_mean(missing[0], names)
            )
        for detector in self.detectors:
            if len(names[detector]) > 1:
                raise SpilloverError(
                    f"spillover ({self.source}): detector {detector} could be {' or '.join(names[detector])}."
                )
        return Spillover(tuple(names[d][0] for d in self.detectors), self.matrix, self.source)

    def __eq__(self, other: object) -> bool:
        """Whether detectors, numbers and source are the same."""
        if not isinstance(other, Spillover):
            return NotImplemented
        same = (self.detectors, self.source) == (other.detectors, other.source)
        return same and np.array_equal(self.matrix, other.matrix)

    def __hash__(self) -> int:
        return hash((self.detectors, self.matrix.tobytes(), self.source))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Channels that hold compensated values: the columns of `compensation`."""
        return self.detectors

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        return {"detectors": list(self.detectors), "matrix": self.matrix.tolist(), "source": self.source}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Spillover:
        """Rebuild from `to_dict`."""
        detectors: Sequence[str] = data["detectors"]  # type: ignore[assignment]
        return cls(tuple(detectors), np.array(data["matrix"], np.float64), str(data["source"]))

    def __repr__(self) -> str:
        return f"<Spillover {len(self.detectors)} detectors from {self.source}, condition {self.condition_number:.3g}>"


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _plain(name: str) -> str:
    """Return the detector of a FlowJo-style name: ``Comp-FITC-A :: CD3`` is ``FITC-A``."""
    return strip_prefix(name.split("::")[0].strip())[0]


def _stored(keywords: Mapping[str, str], panel: Panel) -> tuple[Spillover | None, list[Note]]:
    """Return the matrix of a file's keywords, None where there is none or it cannot be used, and what is odd."""
    notes: list[Note] = []
    named: dict[str, Spillover] = {}
    unnamed: dict[str, NDArray[np.float64]] = {}
    for key in KEYWORDS:
        try:
            written = read_keyword(key, keywords, panel)
            if written is None:
                continue
            if written.detectors:
                named[key] = Spillover(written.detectors, written.matrix, key)
                notes += written.notes
            elif len(written.matrix):
                unnamed[key] = written.matrix
            else:
                notes.append(Note(NO_SPILLOVER.code, _quoted(key, keywords), "it is no matrix"))
        except SpilloverError as error:
            notes.append(_bad([key], keywords, str(error)))
    notes += _without_names(unnamed, keywords)
    if named and not any(note.code == BAD_SPILLOVER.code for note in notes):
        (first, matrix), *others = named.items()
        different = [key for key, other in others if not _same(matrix, other)]
        # Of another size, or without a positive diagonal, it is no spillover matrix but what $COMP of FCS 3.0 may be.
        alike = {k: n for k, n in unnamed.items() if len(n) == len(matrix.matrix) and (n.diagonal() > 0).all()}
        different += [key for key, numbers in alike.items() if not _same_numbers(matrix, numbers)]
        same = [key for key in (*named, *alike) if key not in different]
        if different:
            reason = f"keywords {first} and {' and '.join(different)} hold different matrices."
            notes.append(_bad([first, *different], keywords, reason))
        elif len(same) > 1:
            notes.append(Note(SPILLOVER_TWICE.code, " and ".join(same), f"the same matrix; {first} is used"))
    if not named or any(note.code == BAD_SPILLOVER.code for note in notes):
        return None, notes
    return replace(next(iter(named.values())), source="keyword"), notes


def _without_names(unnamed: Iterable[str], keywords: Mapping[str, str]) -> list[Note]:
    found = [_quoted(key, keywords) for key in unnamed]
    # 0 is what most cytometers write there, and subtracts nothing.
    subtracted = [key for key, text in keywords.items() if _SUBTRACTED.fullmatch(key) and text.strip(" 0.,")]
    if subtracted:
        more = f" and {len(subtracted) - 1} more" if len(subtracted) > 1 else ""
        found.append(f"{_quoted(subtracted[0], keywords)}{more}")
    return [Note(UNNAMED_COMPENSATION.code, " and ".join(found), "not used")] if found else []


def _same(matrix: Spillover, other: Spillover) -> bool:
    """Whether two matrices compensate alike: order does not matter, nor a detector that nothing spills to."""
    names = sorted({*matrix.detectors, *other.detectors})
    difference = np.zeros((len(names), len(names)))
    for one, sign in ((matrix, 1.0), (other, -1.0)):
        at = [names.index(name) for name in one.detectors]
        full = np.eye(len(names))
        full[np.ix_(at, at)] = one.matrix
        difference += sign * full
    return bool(np.abs(difference).max() <= SAME)


def _same_numbers(matrix: Spillover, numbers: NDArray[np.float64]) -> bool:
    """Whether a matrix without names has the numbers of one with names, in the same order."""
    with np.errstate(all="ignore"):
        scaled = numbers / numbers.diagonal()[:, None]
        return np.allclose(scaled, matrix.matrix, rtol=0, atol=SAME)


def _quoted(key: str, keywords: Mapping[str, str]) -> str:
    return f"{key}={shown(keywords[key])}"


def _bad(keys: Sequence[str], keywords: Mapping[str, str], reason: str) -> Note:
    found = " and ".join(_quoted(key, keywords) for key in keys)
    return Note(BAD_SPILLOVER.code, found, printable(reason.removesuffix(".")))


def _advised(note: Note) -> str:
    """Return what is wrong and what to do, as an error says it."""
    return f"{note.text}{'' if note.text.endswith('?') else '.'} {CODES[note.code].what_to_do}"


def spillover_notes(keywords: Mapping[str, str], panel: Panel) -> list[Note]:
    """Say what is wrong with the spillover keywords of a file, or how they are repaired; never raises.

    Nothing is said of a file without such keywords, nor of one matrix written as the standard wants it.
    """
    return _stored(keywords, panel)[1]


def _check_all_compensated(sample: Sample) -> None:
    """Refuse a tube of which only some channels say they are compensated, where its own matrix names the others.

    Where the matrix cannot be read, any other fluorescence channel could be one of them.
    """
    done = {c.base for c in sample.panel.channels if c.precompensated}
    raw = {c.detector for c in sample.panel.channels if c.role == "fluorescence" and c.base not in done}
    try:
        stored = Spillover.from_keyword(sample)
    except SpilloverError:
        if raw:
            raise
        return  # a matrix that nothing will be done with
    left = [name for name in (stored.detectors if stored else ()) if name in raw]
    if left:
        raise SpilloverError(
            f"{sample.path}: some channels are named as compensated (Comp-), but {', '.join(left)} of the spillover "
            "keyword not. Export the tube with all channels raw or all compensated.",
            code=BAD_SPILLOVER.code,
        )


def spillover_for(sample: Sample, choice: str) -> Spillover:
    """Return the spillover matrix of a sample for ``keyword``, ``none`` or the path of a CSV.

    Raises
    ------
    MissingSpillover
        ``keyword``, but the file has none and its channels do not say they are compensated already.
    SpilloverError
        The matrix cannot be used.
    """
    if choice == "none":
        return Spillover.none()
    given = None if choice == "keyword" else Spillover.from_csv(choice)
    if given is not None:
        try:
            return given.for_panel(sample.panel)
        except SpilloverError as error:
            raise SpilloverError(f"{sample.path}: {error}") from None
    if any(channel.precompensated for channel in sample.panel.channels):
        # "Comp-FITC-A": compensated or unmixed when written, and never to be compensated twice.
        _check_all_compensated(sample)
        return Spillover((), np.empty((0, 0)), "already compensated")
    stored = Spillover.from_keyword(sample)
    if stored is None:
        for note in spillover_notes(sample.keywords, sample.panel):
            raise MissingSpillover(f"{sample.path}: {_advised(note)}", code=note.code)
        raise MissingSpillover(
            f"{sample.path}: holds no spillover keyword ({', '.join(KEYWORDS[:4])}). {NO_SPILLOVER.what_to_do}",
            code=NO_SPILLOVER.code,
        )
    return stored
