"""Marker and detector names, however vendors and labs write them.

A channel's text ("BV785 - CD3", "CD16+56", "APC HLA-DR", "CD3 FITC") is taken apart into *targets* (what the
antibody binds, in one canonical spelling) and a *fluorochrome*. Matching is on whole targets, never on
substrings: CD4 is not in CD45, and CD45 is not in CD45RA.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_DYES = """
    FITC PE APC RD1 PERCP PERCPCY55 PERCPCY5 PERCPCYANINE55 PP PC5 PC55 PC7 ECD KO KRO KROME KROMEORANGE
    PECY5 PECY55 PECY7 PECYANINE5 PECYANINE55 PECYANINE7 PETEXASRED PETXRED PETR APCCY7 APCCYANINE7 APCH7 APCR700
    PACIFICBLUE PACBLUE PB PACIFICORANGE PACORANGE PO AMCYAN AQUA LDAQUA VIOBLUE VIOGREEN VIOBRIGHTFITC
    GFP MCHERRY TXRED TEXASRED CY5 CY7 CY55
    SPARKBLUE550 SPARKBLUE574 SPARKNIR685 SPARKUV387 SPARKVIOLET538 ZOMBIENIR ZOMBIEAQUA ZOMBIEUV
"""
#: Dyes and tandems, normalised: upper case, letters and digits only.
FLUOROCHROMES = frozenset(_DYES.split())
#: Dyes named by a wavelength, alone or as the acceptor of a tandem: BV785, Alexa Fluor 700, PE-Fire 744, APC-AF750.
_FLUOROCHROME_FAMILIES = re.compile(
    r"(PE|APC|PERCP)?(BV|BRILLIANTVIOLET|BUV|BRILLIANTULTRAVIOLET|BB|BRILLIANTBLUE|RB|RY|QDOTS?|QD|A|AA|AF|ALEXA|ALEXAFLUOR"
    r"|EF|EFLUOR|DL|DYLIGHT|CF|CFLUOR\w|V|VB|VIO|SB|SUPERBRIGHT|FIRE|DAZZLE|KIRAVIABLUE|NOVAFLUOR\w*)\d{3}P?"
)

#: Other spellings of one target. CD8 antibodies bind the alpha chain unless they say beta, and both mark CD8 cells.
SYNONYMS = {
    "CD8A": "CD8",
    "CD8B": "CD8",
    "CD3E": "CD3",
    "HLADR": "HLADR",
    "DR": "HLADR",
    "CD197": "CCR7",
    "CD279": "PD1",
    "CD28": "CD28",
    "TCRYD": "TCRGD",
    "GDTCR": "TCRGD",
    "TCRGAMMADELTA": "TCRGD",
    "TCRΓΔ": "TCRGD",
    "ΓΔTCR": "TCRGD",
    "TCRΑΒ": "TCRAB",
    "ΑΒTCR": "TCRAB",
    "ABTCR": "TCRAB",
    "IL7RA": "CD127",
    "CD127A": "CD127",
    "LEU4": "CD3",
}

_CD = re.compile(r"CD\s?(\d+)([A-Za-z]*)", re.IGNORECASE)
_ISOFORM = re.compile(r"(CD45)[\s_/:-]+(R[ABCO])\b", re.IGNORECASE)
#: Words by which a lab says that a channel does not carry the marker named beside them.
_NOT_STAINED = re.compile(r"\b(FMO|iso(type)?|unstained|no|minus|without|neg(ative)?|IgG\d\w?)\b", re.IGNORECASE)
_POSITION = re.compile(r"[\s_-]+FL\s?\d+([\s_-]?[AHW])?$", re.IGNORECASE)  # "CD4-PE FL2-A"
_SPECIES = re.compile(r"\b(anti[- ]?|human[- ]?|hu[- ]?|h)(?=CD\d)", re.IGNORECASE)  # "hCD3", "anti-CD3"
_CLONE = re.compile(r"(CD\d+[A-Za-z]?)-([A-Za-z]\w*)", re.IGNORECASE)  # "CD19-J3"
_LIST = re.compile(r"[\s_+/,;:|&()]+|-(?=CD)|(?<=\d)-(?=\d)")
_PREFIX = re.compile(r"^(FJ)?Comp-", re.IGNORECASE)
_MEASURE = re.compile(r"^(?P<base>.*?)[-_. ]?(?P<measure>A|H|W|AREA|HEIGHT|WIDTH|PEAK|INT|TOF)$", re.IGNORECASE)
_MEASURES = {
    **dict.fromkeys(("A", "AREA", "INT"), "A"),
    **dict.fromkeys(("H", "HEIGHT", "PEAK"), "H"),
    **dict.fromkeys(("W", "WIDTH", "TOF"), "W"),
}


@dataclass(frozen=True, slots=True)
class MarkerText:
    """A channel text taken apart."""

    marker: str
    targets: frozenset[str]
    fluorochrome: str


def squeeze(text: str) -> str:
    """Return upper-case letters and digits only: the form in which names are compared."""
    return "".join(c for c in text.upper() if c.isalnum())


def is_fluorochrome(text: str) -> bool:
    """Whether a text names a dye and nothing else."""
    name = squeeze(text)
    return name in FLUOROCHROMES or bool(_FLUOROCHROME_FAMILIES.fullmatch(name))


def parse_marker(text: str) -> MarkerText:
    """Take a channel text apart into marker, targets and fluorochrome.

    Examples
    --------
    >>> parse_marker("BV785 - CD3")
    MarkerText(marker='CD3', targets=frozenset({'CD3'}), fluorochrome='BV785')
    >>> sorted(parse_marker("CD16+56").targets)
    ['CD16', 'CD56']
    """
    text = _POSITION.sub("", text.strip())
    marker, dye = _strip_fluorochrome(text)
    targets = [] if _NOT_STAINED.search(text) else _targets(_SPECIES.sub("", marker))
    return MarkerText(marker, frozenset(targets), dye)


def _strip_fluorochrome(text: str) -> tuple[str, str]:
    """Split off the longest run of words at either end that names a dye; the rest is the marker."""
    if is_fluorochrome(text):
        return "", text.strip("()")
    words = list(re.finditer(r"[^\s_:;|/-]+", text))
    for size in range(len(words) - 1, 0, -1):
        for run, rest in ((words[:size], words[size:]), (words[-size:], words[:-size])):
            dye = text[run[0].start() : run[-1].end()]
            if is_fluorochrome(dye):
                marker = text[rest[0].start() : rest[-1].end()]
                return ("", text) if is_fluorochrome(marker) else (marker, dye.strip("()"))
    glued = re.fullmatch(r"(CD\d+)([A-Za-z].*)", text)
    if glued and is_fluorochrome(glued[2]):
        return glued[1], glued[2]
    return text, ""


def _targets(marker: str) -> list[str]:
    """Canonical targets of a marker text that no longer holds a dye."""
    if not marker:
        return []
    whole = squeeze(marker)
    if whole in SYNONYMS:
        return [SYNONYMS[whole]]
    found: list[str] = []
    after_cd = after_clone = False
    for part in _LIST.split(_ISOFORM.sub(r"\1\2", marker)):  # "CD45 RA" is one target
        clone = _CLONE.fullmatch(part)
        if clone:  # a single letter is part of the name: CD62-L
            part = clone[1] + clone[2] if len(clone[2]) == 1 else clone[1]
        match = _CD.fullmatch(part)
        if match:
            found.append(f"CD{int(match[1])}{match[2].upper()}")
            after_cd, after_clone = True, clone is not None
        elif after_cd and re.fullmatch(r"\d{2,3}[A-Za-z]?", part):  # the 56 of CD16+56, but not the 119 of CD19-J3-119
            found += [] if after_clone else [f"CD{part.upper()}"]
        elif part:
            found.append(part)
            after_cd = False
    if not any(_CD.fullmatch(target) for target in found):
        # Words of a name that is not a list of CDs belong together: "HLA DR", "Ki 67", "PD 1".
        found = re.split(r"[+/,;&]", marker)
    return [SYNONYMS.get(squeeze(target), squeeze(target)) for target in found if squeeze(target)]


def strip_prefix(detector: str) -> tuple[str, bool]:
    """Return the detector without ``Comp-`` / ``FJComp-`` and whether it had one (already compensated)."""
    match = _PREFIX.match(detector)
    return (detector[match.end() :], True) if match else (detector, False)


def split_measure(detector: str) -> tuple[str, str]:
    """Split ``FITC-A`` into ``("FITC", "A")``; the second is A, H, W or empty."""
    words = detector.strip()
    scale = re.fullmatch(r"(.*\S)\s+(LIN|LOG)", words, re.IGNORECASE)  # Beckman: FS INT LIN
    if scale:
        words = scale[1]
    glued = re.fullmatch(r"(.*?)(?:[ -]?(?:Lin|Log)([AHW])|[ -]([AHW])(?:Lin|Log))", words)  # iCyt: LinA; Guava: HLin
    if glued:
        return glued[1], glued[2] or glued[3]
    match = _MEASURE.match(words)
    # A bare letter belongs to the name unless something separates them.
    if match and match["base"] and not words[len(match["base"]) :][0].isalnum():
        return match["base"], _MEASURES[match["measure"].upper()]
    return words, ""


def scatter_kind(base: str) -> str:
    """``FSC`` or ``SSC`` for a scatter detector's base name, else empty."""
    name = squeeze(base)
    if name in ("FSC", "FS", "FSCLIN", "FSLIN", "FSCLOG", "FSLOG", "FORWARDSCATTER"):
        return "FSC"
    if name in ("SSC", "SS", "BSC", "SSCLIN", "SSLIN", "SSCLOG", "SSLOG", "SIDESCATTER"):
        return "SSC"
    return ""
