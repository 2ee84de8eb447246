"""Units of a cell concentration, however laboratories write them, and their factor to cells/µL.

A concentration without a unit is refused: 0.8 and 800 are the same count in 10^9/L and in cells/µL. So is any
unit per decilitre. The registry entry of NCT04781309 asks for CD4 "≤ 200 cells/dL"; a decilitre is 100,000 µL,
so that would be 0.002 cells/µL, less than any assay can measure. Cells/µL is meant there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

#: Cells/µL in one of each unit; the keys are the proper spellings.
CELLS_PER_UL: Mapping[str, float] = {
    "cells/uL": 1.0,
    "cells/mL": 1e-3,
    "cells/L": 1e-6,
    "10^3/uL": 1e3,
    "10^3/mL": 1.0,
    "10^6/mL": 1e3,
    "10^6/L": 1.0,
    "10^9/L": 1e3,
}
PERCENT = "%"

_MICRO = str.maketrans({"\N{MICRO SIGN}": "u", "\N{GREEK SMALL LETTER MU}": "u", "³": "^3", "⁶": "^6", "⁹": "^9"})
# 1 mm3 is 1 µL; "cmm" and "cumm" are how it is written where superscripts are missing.
_VOLUMES = {
    **dict.fromkeys(("ul", "mm3", "mm^3", "cumm", "cmm", "mcl"), "uL"),
    **dict.fromkeys(("ml", "cm3", "cm^3", "cc"), "mL"),
    "l": "L",
    "nl": "nL",
    "dl": "dL",
}
_COUNT = re.compile(r"(#|counts?|cells?|cell\(s\))?")
# 10E9/L is read as analysers mean it, 10^9/L, as no laboratory counts in tens of 10^9.
_POWER = re.compile(r"[x*]?(?:10(?:\^|\*\*?|e)|e)([369])")
_WORDS = {"k": 3, "thou": 3, "thousand": 3, "thousands": 3, "tsd": 3, "tsd.": 3, "g": 9, "gpt": 9}


def concentration_unit(text: str) -> str | None:
    """Return the proper spelling of a unit of concentration, or None where the text is none that is known.

    Examples
    --------
    >>> [concentration_unit(text) for text in ("cells/µL", "/mm³", "K/uL", "x10E9/L", "G/L", "cells/dL")]
    ['cells/uL', 'cells/uL', '10^3/uL', '10^9/L', '10^9/L', None]
    """
    count, slash, volume = "".join(text.translate(_MICRO).replace("×", "x").split()).partition("/")
    if count == "g":  # g/L are grams of something; G/L are giga per litre
        return None
    place = _VOLUMES.get(volume.casefold().removesuffix("."))
    power = _power(count.casefold())
    if not slash or place is None or power is None:
        return None
    if place == "nL":  # German sheets: 1/nL is 10^9/L
        power, place = power + 3, "uL"
    proper = f"10^{power}/{place}" if power else f"cells/{place}"
    return proper if proper in CELLS_PER_UL else None


def _power(count: str) -> int | None:
    """Power of ten of what stands before the slash."""
    words = {count, count.removesuffix("cells"), count.removesuffix("cell"), count.removeprefix("cells")}
    for word in sorted(words):
        if _COUNT.fullmatch(word):
            return 0
        if word in _WORDS:
            return _WORDS[word]
        if match := _POWER.fullmatch(word):
            return int(match[1])
    return None


def per_decilitre(text: str) -> bool:
    """Whether a unit is per decilitre, which no cell count is given in."""
    return _VOLUMES.get("".join(text.split()).partition("/")[2].casefold()) == "dL"


def to_cells_per_ul(value: float, unit: str) -> float:
    """Convert a concentration from a proper unit to cells/µL.

    >>> to_cells_per_ul(0.168, "10^9/L"), to_cells_per_ul(200_000, "cells/mL")
    (168.0, 200.0)
    """
    factor = CELLS_PER_UL[unit]
    return value * factor if factor >= 1 else value / round(1 / factor)  # a division by 1000 is exact where it can be
