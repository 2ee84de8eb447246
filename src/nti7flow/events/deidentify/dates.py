"""Dates within text, shifted by whole days and written as they were written before.

Only what has one reading is shifted. 03/06/2021 is March here and June there, and 'June 2021' has no day to count
from: such values are for the caller to remove. Times of day and offsets from UTC stay.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

_ENGLISH = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LONG = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
         "December")  # fmt: skip
#: Months as German and French programs write them, where they differ from English in the first three letters.
_FOREIGN = {"mär": 3, "mrz": 3, "mai": 5, "okt": 10, "dez": 12, "fév": 2, "avr": 4, "aoû": 8, "déc": 12, "mae": 3}
_MONTHS = {name.lower(): n for n, name in enumerate(_ENGLISH, 1)} | _FOREIGN
_MONTH = (
    rf"(?P<{{}}>{'|'.join(_LONG)}|januar|februar|märz|juni|juli|oktober|dezember|sept|"
    rf"{'|'.join(sorted(_MONTHS))})(?![^\W\d_])\.?"
)
_DAY_NAME = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\.?,?[ ]+)?"
_FORMS = (
    # 2018-10-04, 2018_10_04, 2018/10/4, with or without time
    r"(?<!\d)(?P<y1>\d{4})(?P<s1>[-/._])(?P<m1>\d{1,2})(?P=s1)(?P<d1>\d{1,2})(?!\d)",
    # 20181004, 20181004T1030, 20181004103000
    r"(?<!\d)(?<!\d\.)(?P<y2>(?:19|20)\d\d)(?P<m2>[01]\d)(?P<d2>[0-3]\d)(?=\D|$|\d{6}(?!\d))",
    # 04-OCT-2018, 4. October 2018, 04Oct18, Thu, 04 Oct 2018
    _DAY_NAME
    + rf"(?<![^\W_])(?P<d3>\d{{1,2}})(?:\.[ ]|[-/ ._])?{_MONTH.format('m3')}[-/ ._]?(?P<y3>\d{{4}}|\d{{2}})(?!\d)",
    # 2018-Oct-04
    rf"(?<!\d)(?P<y4>\d{{4}})(?P<s4>[-/ ._]?){_MONTH.format('m4')}(?P=s4)(?P<d4>\d{{1,2}})(?!\d)",
    # October 4, 2018; Thu Oct  4 10:30:00 2018
    _DAY_NAME + rf"(?<![^\W_]){_MONTH.format('m5')}(?P<s5>[ ]+|[-/_])(?P<d5>\d{{1,2}})(?:st|nd|rd|th)?"
    r"(?P<t5>,?[ ]+|(?P=s5)|[ ]+\d{1,2}:\d\d(?::\d\d)?(?:[ ]?[A-Za-z+]\w*)?[ ]+)(?P<y5>\d{4})(?!\d)",
    # 4.10.2018: with dots the day is first wherever dates are written so
    r"(?<![\d.])(?P<d6>\d{1,2})\.(?P<m6>\d{1,2})\.(?P<y6>\d{4})(?![\d.]*\d)",
    # 10/24/2018 or 24/10/2018, and what cannot be told
    r"(?<![\d/-])(?P<a7>\d{1,2})(?P<s7>[-/])(?P<b7>\d{1,2})(?P=s7)(?P<y7>\d{4}|\d{2})(?!\d|(?P=s7))",
    # October 2018, Oct-2018
    rf"(?<![^\W_]){_MONTH.format('m8')}[-/ ._]+(?P<y8>(?:19|20)\d\d)(?!\d)",
)
_DATE = re.compile("|".join(f"(?P<f{n}>{form})" for n, form in enumerate(_FORMS, 1)), re.IGNORECASE)
_EPOCH = re.compile(r"\s*(\d{10}|\d{13})\s*")
_FIRST_YEAR, _LAST_YEAR = 1900, 2100


class AmbiguousDateError(ValueError):
    """A date that can be read in two ways, or cannot be shifted."""


def shift_dates(text: str, days: int) -> str:
    """Shift every date within a text.

    Parameters
    ----------
    text : str
        Any text; what is not a date stays as it is.
    days : int
        Days to add; negative is earlier.

    Returns
    -------
    str
        The same text where it holds no date.

    Raises
    ------
    AmbiguousDateError
        A date has more than one reading, no day, or leaves the years 1900 to 2100.
    """
    return _DATE.sub(lambda found: _shifted(found, days), text)


def without_dates(text: str) -> str:
    """Text with a blank in place of every date."""
    return _DATE.sub(lambda found: found[0] if _stays(found) else " ", text)


def shift_epoch(text: str, days: int) -> str | None:
    """Shift seconds or milliseconds since 1970; None where the text is not such a number."""
    found = _EPOCH.fullmatch(text)
    if found is None:
        return None
    per_day = 86_400 if len(found[1]) == 10 else 86_400_000
    return str(int(found[1]) + days * per_day)


def _stays(found: re.Match[str]) -> bool:
    try:
        return _shifted(found, 1) == found[0]
    except AmbiguousDateError:
        return False


def _shifted(found: re.Match[str], days: int) -> str:
    text = found[0]
    part = found.groupdict()
    form = next(n for n in range(1, len(_FORMS) + 1) if part[f"f{n}"] is not None)
    if form == 8:
        raise AmbiguousDateError(text)
    if form == 7:
        return _slashed(text, part, days)
    year, month, day = part[f"y{form}"], part[f"m{form}"], part[f"d{form}"]
    number = int(month) if month.isdigit() else _month(month)
    before = _date(year, number, int(day))
    if before is None:
        return text
    after = _moved(before, days, text)
    fields = {f"y{form}": _like(year, after.year), f"d{form}": _like(day, after.day)}
    fields[f"m{form}"] = _like(month, after.month) if month.isdigit() else _month_like(month, after.month)
    start = found.start()
    pieces = sorted((found.start(name), found.end(name), new) for name, new in fields.items())
    # A day of the week before the date would be wrong behind it, and says by how many days it was shifted.
    at, out = (pieces[0][0] if form in (3, 5) else start), ""
    for begin, end, new in pieces:
        out += text[at - start : begin - start] + new
        at = end
    return out + text[at - start :]


def _slashed(text: str, part: dict[str, str], days: int) -> str:
    """Shift month/day/year or day/month/year where one of the two cannot be a month."""
    first, second, year = part["a7"], part["b7"], part["y7"]
    month_first, day_first = _date(year, int(first), int(second)), _date(year, int(second), int(first))
    if month_first is None and day_first is None:
        return text
    if len(year) == 2 or (month_first is not None and day_first is not None):
        raise AmbiguousDateError(text)
    after = _moved(month_first or day_first or date.min, days, text)
    fields = (after.month, after.day) if month_first is not None else (after.day, after.month)
    separator = part["s7"]
    return separator.join((_like(first, fields[0]), _like(second, fields[1]), str(after.year)))


def _date(year: str, month: int, day: int) -> date | None:
    full = int(year) if len(year) == 4 else 2000 + int(year) if int(year) < 70 else 1900 + int(year)
    if not _FIRST_YEAR <= full <= _LAST_YEAR:
        return None
    try:
        return date(full, month, day)
    except ValueError:
        return None


def _moved(before: date, days: int, text: str) -> date:
    try:
        after = before + timedelta(days)
    except OverflowError:
        raise AmbiguousDateError(text) from None
    if not _FIRST_YEAR <= after.year <= _LAST_YEAR:
        raise AmbiguousDateError(text)
    return after


def _month(name: str) -> int:
    return _MONTHS[name.lower()[:3]]


def _month_like(name: str, month: int) -> str:
    new = (_ENGLISH if len(name) == 3 else _LONG)[month - 1]
    return new.upper() if name.isupper() else new.lower() if name.islower() else new


def _like(digits: str, number: int) -> str:
    """Write a number with as many digits as another one had."""
    return f"{number % 10 ** len(digits) if len(digits) == 2 else number:0{len(digits)}d}"
