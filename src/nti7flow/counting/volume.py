"""Acquired volume out of the keyword ``$VOL``, in microlitres, whichever unit the cytometer wrote."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from nti7flow.counting.checks import Check
from nti7flow.errors import printable
from nti7flow.gating.strategy import Severity

#: First word of the check: `Check.value` is the volume in microlitres, empty where it is not known.
VOLUME = "acquired_volume_ul"
#: FCS 3.1 says nanolitres (Spidlen et al., Cytometry A 2010; 77:97). Cytometers of Cytek write microlitres.
_CYTEK = re.compile(r"cytek|aurora|northern lights|\bNL-?[123]000\b", re.IGNORECASE)
#: No tube is acquired for less than this, nor does one hold more, microlitres.
LEAST_UL, MOST_UL = 1.0, 5000.0


def check_volume(keywords: Mapping[str, str]) -> Iterator[Check]:
    """Yield the volume that was acquired, by the keywords of a file; nothing where it has no ``$VOL``.

    The unit is that of the cytometer: microlitres by Cytek, nanolitres by all others, as FCS 3.1 says. Where that
    volume is impossible and the other unit's is not, the other one is taken and a person should look.

    Parameters
    ----------
    keywords : mapping of str to str
        Those of the file.
    """
    text = keywords.get("$VOL")
    if text is None:
        return
    quoted = f"{VOLUME} $VOL {printable(text.strip()) or 'empty'}"
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        yield Check(f"{quoted}: no volume", None, None, "info")
        return
    cytometer = keywords.get("$CYT", "").strip()
    named = printable(cytometer) or "a cytometer that is not named"
    cytek = _CYTEK.search(cytometer) is not None
    usual, other = ("uL", "nL") if cytek else ("nL", "uL")
    why = f"{named} writes microlitres" if cytek else f"FCS 3.1 says so, {named}"
    microlitres = {"uL": number, "nL": number / 1000}
    possible = [unit for unit in (usual, other) if LEAST_UL <= microlitres[unit] <= MOST_UL]
    if not possible:
        yield Check(f"{quoted}: impossible in nL and in uL, {named}", None, None, "review")
        return
    severity: Severity = ""
    if possible[0] != usual:
        severity = "review"
        why = f"in {usual}, where {why}, it would be {microlitres[usual]:g} uL: impossible"
    yield Check(f"{quoted} read as {possible[0]}: {why}", microlitres[possible[0]], None, severity)
