"""The text of a spillover keyword: names and numbers, in the one way in which it can be read."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nti7flow.errors import SpilloverError, did_you_mean
from nti7flow.events.codes import SPILLOVER_NAMES, SPILLOVER_SCALED, SPILLOVER_SEPARATORS, SPILLOVER_UNKNOWN
from nti7flow.events.markers import strip_prefix
from nti7flow.events.notes import Note
from nti7flow.events.panel import Panel

#: More detectors than any cytometer has; a claim above it is refused before anything is computed.
MOST_DETECTORS = 500
#: Names with commas are put together by trying; names of hostile files could be tried for hours.
MOST_COMPARED = 1_000_000
#: What programs pad values with. No tab: that may be a separator.
_PADDING = " \0\r\n"
_BEGIN = re.compile(r"(\d{1,9})\s*(?:([,;\t])|$)", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE)
_WHOLE, _FRACTION = re.compile(r"[+-]?\d+", re.ASCII), re.compile(r"\d+(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}


@dataclass(frozen=True, eq=False)
class Written:
    """What one keyword says.

    Attributes
    ----------
    detectors : tuple of str
        $PnN of the channels, as the tube has them; empty where the keyword names none.
    matrix : ndarray of float64, shape (d, d)
        The numbers as written, not yet scaled.
    notes : tuple of Note
        What had to be repaired.
    """

    detectors: tuple[str, ...]
    matrix: NDArray[np.float64]
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class _Reading:
    """Names as written, numbers, and what is odd about how they are separated."""

    names: tuple[str, ...]
    numbers: list[float]
    oddities: tuple[str, ...]


def read_keyword(key: str, keywords: Mapping[str, str], panel: Panel) -> Written | None:
    """Read one keyword, or None where it is blank.

    The matrix is empty (d = 0) where the keyword holds a placeholder: a word, 0, or zeros alone.

    Raises
    ------
    SpilloverError
        There is no way to read it, or more than one.
    """
    text = keywords.get(key, "").strip(_PADDING)
    if not text.strip():
        return None
    separated = any(separator in text for separator in _SEPARATORS)
    if key == "COMP" and not separated:  # no word of the standard: a flag of some program
        return None
    if not separated and (text == "0" or not any(c.isdigit() for c in text)):
        return Written((), np.empty((0, 0)))
    reading = _read(text, panel)
    d = math.isqrt(len(reading.numbers))
    matrix = np.array(reading.numbers, np.float64).reshape(d, d)
    if not matrix.any():
        return Written((), np.empty((0, 0)))
    if not reading.names:
        if "COMP" not in key:
            raise SpilloverError("it does not say which channels its numbers belong to.")
        return Written((), matrix)
    notes = []
    if reading.oddities:
        found = f"{key} with {' and '.join(reading.oddities)}"
        notes.append(Note(SPILLOVER_SEPARATORS.code, found, f"read as {d} names and {d * d} numbers"))
    written = _by_channel(key, reading.names, matrix, keywords, panel)
    _check_no_inverse(written.matrix)
    diagonal = written.matrix.diagonal()
    if (diagonal != 1).any():
        spread = " to ".join(dict.fromkeys(f"{end:g}" for end in (diagonal.min(), diagonal.max())))
        notes.append(Note(SPILLOVER_SCALED.code, f"{key} with {spread} on its diagonal", "each row is divided by it"))
    return Written(written.detectors, written.matrix, (*notes, *written.notes))


def shown(text: str) -> str:
    """Return the beginning of a value in quotes, so that it can stand in a message."""
    return repr(text if len(text) <= 60 else text[:59] + "…")


# --- names and numbers ----------------------------------------------------------------------------


def _read(text: str, panel: Panel) -> _Reading:
    """Take a value apart; names are empty where there are numbers alone."""
    begin = _BEGIN.match(text)
    if begin is None:
        raise SpilloverError("it does not begin with the number of its detectors and a separator.")
    d, separator = int(begin[1]), begin[2] or ","
    values = text[begin.end() :].rstrip(f"{separator}\t{_PADDING}")
    if d == 0 and not values:
        return _Reading((), [], ())
    if not 0 < d <= MOST_DETECTORS:
        raise SpilloverError(f"it announces {d} detectors; 1 to {MOST_DETECTORS} were expected.")
    most = d + 2 * d * d + sum(channel.detector.count(",") for channel in panel.channels)
    if values.count(separator) >= most:  # not worth taking apart
        raise SpilloverError(_wrong_count(values.count(separator) + 1, d))
    tokens = values.split(separator) if values else []
    n_left = text.count(separator, begin.end() + len(values))
    odd = () if separator == "," else (f"{_SEPARATORS[separator]} between its values",)
    if n_left:
        odd = (*odd, f"{n_left} separators too many at its end")
    if len(tokens) == d * d and all(_NUMBER.fullmatch(token.strip()) for token in tokens):
        return _Reading((), [float(token) for token in tokens], odd)
    readings = _readings(tokens, d, separator, panel)
    if len(readings) > 1:
        raise SpilloverError("its commas can be read in more than one way.")
    if not readings:
        raise SpilloverError(_why_not(tokens, d))
    (reading,) = readings
    return _Reading(reading.names, reading.numbers, (*odd, *reading.oddities))


def _readings(tokens: Sequence[str], d: int, separator: str, panel: Panel) -> list[_Reading]:
    """All ways to read d names and d x d numbers."""
    found = []
    for size in (d * d, 2 * d * d) if separator == "," else (d * d,):
        head, tail = tokens[: max(len(tokens) - size, 0)], [t.strip() for t in tokens[max(len(tokens) - size, 0) :]]
        if len(tail) < size or len(head) < d or (len(head) > d and separator != ","):
            continue
        decimal_commas = size > d * d
        if decimal_commas:
            numbers = _decimal_commas(tail, d)
        else:
            decimal_commas = separator != "," and any("," in token for token in tail)
            if decimal_commas and any("." in token for token in tail):
                raise SpilloverError("some of its numbers have decimal commas and others decimal points.")
            numbers = _numbers([token.replace(",", ".") for token in tail] if decimal_commas else tail)
        odd = ("decimal commas",) if decimal_commas else ()
        if numbers is None:
            continue
        if len(head) == d:
            found.append(_Reading(tuple(head), numbers, odd))
        else:
            joined = _names_with_commas(head, d, panel)
            found += [_Reading(names, numbers, (*odd, "commas inside the names of channels")) for names in joined]
    return found


def _numbers(tokens: Sequence[str]) -> list[float] | None:
    return [float(token) for token in tokens] if all(map(_NUMBER.fullmatch, tokens)) else None


def _decimal_commas(tokens: Sequence[str], d: int) -> list[float] | None:
    """Numbers whose commas were taken for separators; None unless every one of them has just one.

    A matrix of twice as many whole numbers would look the same, so a diagonal of 1 or of 100 must confirm it.
    """
    whole, fraction = tokens[::2], tokens[1::2]
    if not (all(map(_WHOLE.fullmatch, whole)) and all(map(_FRACTION.fullmatch, fraction))):
        return None
    numbers = [float(f"{w}.{f}") for w, f in zip(whole, fraction, strict=True)]
    return numbers if set(numbers[:: d + 1]) in ({1.0}, {100.0}) else None


def _names_with_commas(tokens: Sequence[str], d: int, panel: Panel) -> list[tuple[str, ...]]:
    """Put tokens together to d names of the panel, some of which hold commas; two ways at most are returned."""
    words = [token.strip() for token in tokens]
    starts: dict[str, list[tuple[list[str], str]]] = {}
    for channel in panel.channels:
        parts = [part.strip() for part in channel.detector.split(",")]
        starts.setdefault(parts[0], []).append((parts, channel.detector))
    # Position reached -> the last name of each way there, linked to the name before it.
    reached: dict[int, list[tuple[object, ...]]] = {0: [()]}
    n_compared = 0
    for _ in range(d):
        step: dict[int, list[tuple[object, ...]]] = {}
        for position, ways in reached.items():
            for parts, name in starts.get(words[position], ()) if position < len(words) else ():
                n_compared += len(parts)
                if n_compared > MOST_COMPARED:
                    raise SpilloverError("its commas can be read in too many ways.")
                if words[position : position + len(parts)] == parts:
                    step.setdefault(position + len(parts), []).extend((name, way) for way in ways)
        reached = {position: ways[:2] for position, ways in step.items()}
    return [_unlink(way) for way in reached.get(len(words), ())]


def _unlink(way: tuple[object, ...]) -> tuple[str, ...]:
    names = []
    while way:
        name, way = way  # type: ignore[assignment]
        names.append(str(name))
    return tuple(reversed(names))


def _why_not(tokens: Sequence[str], d: int) -> str:
    if len(tokens) == d + d * d:
        words = [token.strip() for token in tokens[d:]]
        wrong = next((word for word in words if not _NUMBER.fullmatch(word.replace(",", ".", 1))), words[0])
        return f"{shown(wrong)} stands where a number is expected."
    return _wrong_count(len(tokens), d)


def _wrong_count(n_tokens: int, d: int) -> str:
    n_numbers = max(n_tokens - d, 0)
    announced = f"it announces {d} detectors, so {d * d} numbers were expected; found {n_numbers}"
    if d * d < n_numbers <= 2 * d * d:
        return f"{announced}, and where one ends cannot be known if some have decimal commas."
    return f"{announced}."


# --- which channels -------------------------------------------------------------------------------


def _by_channel(
    key: str, names: Sequence[str], matrix: NDArray[np.float64], keywords: Mapping[str, str], panel: Panel
) -> Written:
    """Name the rows as the tube names its channels, without those that the tube lacks and nothing spills to."""
    channels = panel.channels
    fits = _fits(names, keywords, panel)
    known = [i for i, fit in enumerate(fits) if len(fit) == 1]
    taken: dict[int, str] = {}
    for i in known:
        other = taken.setdefault(fits[i][0], names[i])
        if other is not names[i]:
            both = names[i].strip() if other == names[i] else f"{shown(other)} and {shown(names[i])}"
            raise SpilloverError(f"a detector stands twice: {both}.")
    alone = _alone(matrix)
    lost = [i for i, fit in enumerate(fits) if len(fit) != 1 and not alone[i]]
    detectors = [channel.detector for channel in channels]
    if lost:
        name, fit = names[lost[0]].strip(), fits[lost[0]]
        if fit:
            raise SpilloverError(f"{shown(name)} could be {' or '.join(detectors[n] for n in fit)}.")
        missing = ", ".join(names[i].strip() or "''" for i in lost if not fits[i])
        raise SpilloverError(
            f"detector {missing} is not in the tube, which has {', '.join(detectors)}." + did_you_mean(name, detectors)
        )
    if not known:
        raise SpilloverError(f"none of its detectors is in the tube, which has {', '.join(detectors)}.")
    notes = []
    if len(known) < len(names):
        left = ", ".join(shown(names[i].strip()) for i in range(len(names)) if i not in known)
        notes.append(Note(SPILLOVER_UNKNOWN.code, f"{key} with {left}", "left out; no other channel depends on it"))
    found = tuple(detectors[fits[i][0]] for i in known)
    renamed = [f"{shown(names[i])} as {shown(name)}" for i, name in zip(known, found, strict=True) if names[i] != name]
    if renamed:
        assumed = "the only channels that fit" if len(renamed) > 1 else "the only channel that fits"
        notes.append(Note(SPILLOVER_NAMES.code, f"{key} with {', '.join(renamed)}", assumed))
    return Written(found, matrix[np.ix_(known, known)], tuple(notes))


def _fits(names: Sequence[str], keywords: Mapping[str, str], panel: Panel) -> list[list[int]]:
    """Channels (by position) that each name could mean: the one so named, else all that are called alike."""
    exact = {channel.detector: [channel.index] for channel in panel.channels}
    trimmed: dict[str, list[int]] = {}
    alike: dict[str, set[int]] = {}
    for channel in panel.channels:
        trimmed.setdefault(channel.detector.strip(), []).append(channel.index)
        number = str(channel.index + 1)
        for name in (channel.detector, keywords.get(f"$P{number}S", ""), number):
            alike.setdefault(_folded(name), set()).add(channel.index)
    alike.pop("", None)
    return [exact.get(name) or trimmed.get(name.strip()) or sorted(alike.get(_folded(name), ())) for name in names]


def _folded(name: str) -> str:
    """Return a name without what programs add to it or change: ``<Comp-FITC-A>`` is ``fitc-a``."""
    name = name.strip()
    if name[:1] == "<" and name[-1:] == ">":
        name = name[1:-1].strip()
    return strip_prefix(name)[0].strip().casefold()


def _alone(matrix: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which dyes neither give to nor take from another detector."""
    others = (matrix != 0) & ~np.eye(len(matrix), dtype=bool)
    alone: NDArray[np.bool_] = (matrix.diagonal() > 0) & ~others.any(axis=0) & ~others.any(axis=1)
    return alone


def _check_no_inverse(matrix: NDArray[np.float64]) -> None:
    """Refuse what looks like the inverse of a spillover matrix, which compensates the wrong way round."""
    diagonal = matrix.diagonal()
    spills = matrix[~np.eye(len(matrix), dtype=bool)]
    usual = (diagonal == 1).all() or (diagonal == 100).all()
    if not usual and (diagonal > 0).all() and (spills < 0).sum() > (spills > 0).sum():
        raise SpilloverError(
            "most of its spills are negative and its diagonal is not 1: it looks like a compensation matrix, the "
            "inverse of a spillover matrix."
        )
