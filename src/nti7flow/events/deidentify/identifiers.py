"""What a person goes by, and finding it again where nobody expects it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from nti7flow.events.deidentify.rules import Holds, rule_for, says_nothing

#: Characters from which on a whole value is looked for; "A" or "12" is found everywhere.
SHORTEST = 4
#: A name is looked for as a whole word, so a shorter one can be told.
SHORTEST_NAME = 3

#: What programs fill in where nobody typed a name, and what no person is called.
_STOCK_WORDS = """
acquisition admin administrator and blank blood bone case cell cells compensation control controls core custom
cytometer cytometry default diva donor experiment export facility facs facsdiva file flow for from group guest human id
identifier instrument lab laboratory marrow mouse name new none number operator original owner panel patient plate pool
project public root routine run sample service set specimen stain stained staining standard study subject supervisor
system tech technician test the tube unknown unstained untitled user well whole with
"""
_STOCK = frozenset(_STOCK_WORDS.split())
_WORD = re.compile(r"[^\W\d_]+")
_CHUNK = re.compile(r"[^\W_]{5,}")
_THREE_DIGITS = re.compile(r"\d\d\d")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.\w")
_PERSONAL_PATH = re.compile(r"\b[A-Za-z]:\\|\\\\\w|/(?:home|users|mnt|media|volumes)/|file:/", re.IGNORECASE)
_SOCIAL_SECURITY = re.compile(r"(?<!\d)\d{3}-\d{2}-\d{4}(?!\d)")


@dataclass
class Identifiers:
    """Values that are taken out, normalised so that case, accents and encoding do not hide them.

    Attributes
    ----------
    subjects, people, labels : set of str
        Whole values that tell of the patient, of others, and of tubes, files, institutions and the like.
    names : set of str
        Words and numbers within those of the patient and of others.
    numbers : set of str
        Numbers within labels.
    """

    subjects: set[str] = field(default_factory=set)
    people: set[str] = field(default_factory=set)
    labels: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)

    def add(self, value: str, tells: Holds) -> None:
        """Remember a value, as a whole and by the names and numbers within it."""
        if not tells or says_nothing(value) or is_stock(value):
            return
        whole = normalised(value)
        if len(whole) >= SHORTEST:
            {"subject": self.subjects, "person": self.people, "label": self.labels}[tells].add(whole)
        if tells == "label":
            self.numbers.update(_numbered(whole))
        else:
            self.names.update(_numbered(whole))
            self.names.update(w for w in _WORD.findall(whole) if len(w) >= SHORTEST_NAME and w not in _STOCK)

    def gather(self, keywords: Mapping[str, str]) -> None:
        """Remember what the rules take out of some keywords."""
        for keyword, value in keywords.items():
            self.add(value, rule_for(keyword).holds)

    def share(self) -> Identifiers:
        """Those that count for other files too: how a lab calls one tube says nothing about the next."""
        return Identifiers(subjects=set(self.subjects), people=set(self.people), names=set(self.names))

    def update(self, other: Identifiers) -> None:
        """Add those of another."""
        self.subjects |= other.subjects
        self.people |= other.people
        self.labels |= other.labels
        self.names |= other.names
        self.numbers |= other.numbers

    def found_in(self, text: str) -> bool:
        """Whether a text holds any of them, or something personal that shows by its form: an address, a path."""
        if _EMAIL.search(text) or _PERSONAL_PATH.search(text) or _SOCIAL_SECURITY.search(text):
            return True
        return self.person_in(text) or any(
            any(holds(form, whole) for whole in self.labels) or not self.numbers.isdisjoint(_numbered(form))
            for form in _forms(text)
        )

    def person_in(self, text: str) -> bool:
        """Whether a text holds the patient or anyone else."""
        return any(
            any(holds(form, whole) for whole in (*self.subjects, *self.people))
            or not self.names.isdisjoint(_WORD.findall(form))
            or not self.names.isdisjoint(_numbered(form))
            for form in _forms(text)
        )

    def patient_number_in(self, text: str) -> bool:
        """Whether a text holds a whole value of the patient that has a digit in it.

        One without may as well be the name of a dye or a marker: that is for a person to decide.
        """
        numbered = [whole for whole in self.subjects if any(c.isdigit() for c in whole)]
        return any(holds(form, whole) for form in _forms(text) for whole in numbered)


def is_stock(value: str) -> bool:
    """Whether a value is stock words and a small number, such as ``Specimen_001`` or ``Default Patient Name``."""
    words = _WORD.findall(normalised(value))
    return bool(words) and sum(c.isdigit() for c in value) <= 3 and all(word in _STOCK for word in words)


def normalised(text: str) -> str:
    """Text as it is compared: no NUL, no accents, no case, no blanks around it."""
    plain = unicodedata.normalize("NFKD", text.replace("\x00", ""))
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold().strip()


def _numbered(text: str) -> list[str]:
    """Words with three digits in a row: INF052, H66096414001, 903867. Not CD45RA."""
    return [word for word in _CHUNK.findall(text) if _THREE_DIGITS.search(word)]


def _forms(text: str) -> Iterator[str]:
    """Normalised text, and what it says if it was decoded by the wrong table."""
    yield normalised(text)
    if not text.isascii() or "\x00" in text:
        for right in ("utf-8", "utf-16-le", "utf-16-be"):
            try:
                yield normalised(text.encode("latin-1").decode(right))
            except UnicodeError:
                continue


def holds(text: str, whole: str) -> bool:
    """Whether a value stands in a text; its digits at either end not as a part of a longer number."""
    at = text.find(whole)
    while at >= 0:
        end = at + len(whole)
        cut_before = whole[0].isdigit() and text[at - 1 : at].isdigit()
        cut_behind = whole[-1].isdigit() and text[end : end + 1].isdigit()
        if not (cut_before or cut_behind):
            return True
        at = text.find(whole, at + 1)
    return False
