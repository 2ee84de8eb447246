"""Names as Gating-ML allows them: an id is an XML name without a colon, and no two things share one."""

from __future__ import annotations

import re

#: Letters that every version of XML takes within a name: of Latin scripts and of Greek, for γδ T cells.
_LETTERS = "A-Za-zÀ-ÖØ-öø-ÿΑ-ΡΣ-ώ"
_FIRST = re.compile(f"[{_LETTERS}_]")
_FURTHER = re.compile(f"[{_LETTERS}_0-9.-]")
_ESCAPE = re.compile("_x([0-9A-F]{4,6})_")
#: Names that mean something else to FlowKit: its tree's root, and what a matrix is called that is not in the document.
_TAKEN = frozenset({"root", "FCS", "uncompensated"})


def xml_id(name: str) -> str:
    """Return a name as an XML id; other letters become ``_xHHHH_``, as spreadsheets write them. No two names share one.

    >>> xml_id("Q1: CD4+")
    'Q1_x003A__x0020_CD4_x002B_'
    """
    if not name:
        return "_x_"
    if name in _TAKEN:
        return _escaped(name[0]) + name[1:]
    letters = []
    for i, letter in enumerate(name):
        allowed = (_FURTHER if i else _FIRST).match(letter)
        looks_escaped = name.startswith("_x", i)
        letters.append(letter if allowed and not looks_escaped else _escaped(letter))
    return "".join(letters)


def _escaped(letter: str) -> str:
    return f"_x{ord(letter):04X}_"


def name_from_id(text: str) -> str:
    """Return the name that `xml_id` made an id of."""
    return "" if text == "_x_" else _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)


class Ids:
    """Ids of one document; gates, quadrants, dividers, transforms and matrices share them."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}

    def reserve(self, text: str) -> None:
        """Keep an id from being given to anything else."""
        self._taken.add(text)

    def take(self, wanted: str) -> str:
        """Return an id that is free: the wanted one, or with a number behind it."""
        found, number = wanted, self._numbers.get(wanted, 1)
        while found in self._taken:
            number += 1
            found = f"{wanted}.{number}"
        self._numbers[wanted] = number
        self._taken.add(found)
        return found
