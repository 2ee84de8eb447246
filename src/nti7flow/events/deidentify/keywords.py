"""The keywords of one segment, rewritten by the rules; what was changed, and what a person should read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from nti7flow.events.deidentify.dates import AmbiguousDateError, shift_dates, shift_epoch, without_dates
from nti7flow.events.deidentify.identifiers import Identifiers, is_stock
from nti7flow.events.deidentify.rules import Rule, is_numbers, rule_for, says_nothing

#: Characters of an unknown value beyond which nobody reads it; settings and workspaces within a keyword are longer.
LONGEST = 4000
#: What the report says in place of a keyword that holds a name.
WITHHELD = "(a keyword with a name in it)"

#: Base64 or hexadecimal: whole workspaces with every name in them.
_CODED = re.compile(r"[A-Za-z0-9+/]{60}")
_DECIMAL = re.compile(r"\d*\.\d+(?:[eE][-+]?\d+)?")
_LONG_NUMBER = re.compile(r"\d{5}")
#: Keywords by which a file tells its subject, where none of them names one: the best first.
_SAMPLES = ("SAMPLE ID", "SAMPLEID", "$SMNO", "$SRC")


@dataclass(frozen=True, slots=True)
class NewNames:
    """What stands in place of the original names of one file.

    Attributes
    ----------
    code : str
        Of the subject.
    sample : str
        Of the tube.
    file : str
        Name of the file that is written.
    shift_days : int
        Days added to every date.
    """

    code: str
    sample: str
    file: str
    shift_days: int


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one keyword, without its original value.

    Attributes
    ----------
    keyword : str
        Upper case.
    action : str
        ``removed``, ``recoded``, ``shifted`` or ``kept``.
    value : str
        What stands there now; empty where it was removed.
    why : str
        The reason.
    read : bool
        A person should read the value before the file is passed on.
    """

    keyword: str
    action: Literal["removed", "recoded", "shifted", "kept"]
    value: str
    why: str
    read: bool = False


def recode(
    keywords: Mapping[str, str], names: NewNames, known: Identifiers, *, remove_unknown: bool = False
) -> tuple[dict[str, str], list[Change]]:
    """Rewrite keywords by the rules.

    Parameters
    ----------
    keywords : Mapping of str to str
        Those of a TEXT or ANALYSIS segment.
    names : NewNames
        What stands in place of the original ones.
    known : Identifiers
        What is taken out of this file, to be found again in keywords that no rule knows.
    remove_unknown : bool
        Remove the text of unknown keywords instead of keeping it for a person to read.

    Returns
    -------
    dict, list of Change
        Keywords without offsets, in their order; and what was changed or should be read.
    """
    kept: dict[str, str] = {}
    changes: list[Change] = []
    for keyword, value in keywords.items():
        rule = rule_for(keyword)
        if rule.action == "layout":
            continue
        if rule.action == "keep":
            change = _kept(keyword, value, known)
        elif not rule.listed and known.person_in(keyword):
            change = Change(WITHHELD, "removed", "", "name within the keyword")
        elif says_nothing(value) or (rule.action == "numbers" and is_numbers(value)):
            change = None
        else:
            change = _changed(keyword, value, rule, names, known, remove_unknown=remove_unknown)
        if change is None or change.action != "removed":
            kept[keyword] = value if change is None else change.value
        if change is not None:
            changes.append(change)
    return kept, changes


def subject_of(keywords: Mapping[str, str]) -> tuple[str, str] | None:
    """Return whom a tube is of, and the keyword that says so; None where none does."""
    named = [keyword for keyword in keywords if rule_for(keyword).action == "subject" and keyword != "$SRC"]
    named.sort(key=lambda keyword: re.search(r"ID\b", keyword) is None)
    for keyword in (*named, *_SAMPLES):
        value = keywords.get(keyword, "").strip()
        shortest = 3 if keyword in _SAMPLES else 1
        if len(value) >= shortest and not says_nothing(value) and not is_stock(value):
            return value, keyword
    return None


def _kept(keyword: str, value: str, known: Identifiers) -> Change | None:
    """See whether the value of a keyword that the counts need names anybody."""
    if is_numbers(value) or not known.person_in(without_decimals(value)):
        return None
    return Change(keyword, "kept", value, "needed, and holds something that was removed elsewhere", read=True)


def without_decimals(value: str) -> str:
    """Text without its decimal numbers: 0.903867 in a spillover matrix is nobody's number."""
    return _DECIMAL.sub(" ", value)


def _changed(
    keyword: str, value: str, rule: Rule, names: NewNames, known: Identifiers, *, remove_unknown: bool
) -> Change | None:
    if rule.action in ("subject", "sample", "file"):
        new = {"subject": names.code, "sample": names.sample, "file": names.file}[rule.action]
        return Change(keyword, "recoded", new, rule.why)
    if rule.action == "remove":
        return Change(keyword, "removed", "", rule.why)
    if rule.action == "shift":
        new_date = shift_epoch(value, names.shift_days)
        if new_date is not None:
            return Change(keyword, "shifted", new_date, rule.why)
        if not _has_date(value):
            return Change(keyword, "removed", "", "date that is not understood")
    return _unknown(keyword, value, rule, names, known, remove_unknown=remove_unknown)


def _unknown(
    keyword: str, value: str, rule: Rule, names: NewNames, known: Identifiers, *, remove_unknown: bool
) -> Change | None:
    """Keep a value that no rule knows, unless it holds a name; shift its dates; and tell whether to read it."""
    if len(value) > LONGEST:
        return Change(keyword, "removed", "", "too long for a person to read")
    if _CODED.search(value):
        return Change(keyword, "removed", "", "coded: nobody can read it")
    rest = without_dates(value)  # June is a month, and somebody's name
    if known.found_in(rest):
        return Change(keyword, "removed", "", "holds a name, address or path, or what was removed elsewhere")
    try:
        shifted = shift_dates(value, names.shift_days)
    except AmbiguousDateError:
        return Change(keyword, "removed", "", "date with more than one reading")
    read = not is_numbers(rest) or _LONG_NUMBER.search(without_decimals(rest)) is not None
    why = rule.why or "not the numbers that belong here"
    if read and remove_unknown:
        return Change(keyword, "removed", "", why)
    if _has_date(value):
        return Change(keyword, "shifted", shifted, "date", read=read)
    return Change(keyword, "kept", value, why, read=True) if read else None


def _has_date(value: str) -> bool:
    try:
        return shift_dates(value, 1) != value
    except AmbiguousDateError:
        return True
