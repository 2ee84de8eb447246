"""What is done with each keyword: the table of rules, and what a value of numbers looks like.

The first rule that fits a keyword decides. Keywords that the counts need are listed one by one, so that a name such as
``LASER1NAME`` is not taken for a person's; behind them come words that betray personal data in whatever keyword a
vendor or a lab has made. What no rule knows is kept and shown to a person.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

#: ``keep``: needed for the counts, never free text. ``numbers``: the same, as long as the value is numbers and units.
#: ``layout``: an offset, written anew. ``subject``, ``sample``, ``file``: replaced by the subject's code, the new name
#: of the sample, the new file name. ``shift``: a date. ``remove``: the keyword goes. ``read``: kept, for a person to
#: read, and shifted or removed where it holds a date or something that was removed elsewhere.
Action = Literal["keep", "numbers", "layout", "subject", "sample", "file", "shift", "remove", "read"]
#: Whom the original value tells of. ``subject``: the patient. ``person``: anyone else. ``label``: how a lab calls a
#: tube, an experiment or a file; it often holds the subject, but as often a marker. Empty: nobody.
Holds = Literal["subject", "person", "label", ""]


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table.

    Attributes
    ----------
    action : str
        What is done with the keyword.
    holds : str
        Whom its value tells of.
    why : str
        The same in words, for the report.
    listed : bool
        The whole keyword stands in the table; else a word within it, or nothing, decided.
    """

    action: Action
    holds: Holds = ""
    why: str = ""
    listed: bool = False


READ = Rule("read", why="unknown keyword")

#: Whole keywords, ``#`` for any number, ``|`` for whatever separates words.
_EXACT: tuple[tuple[Rule, str], ...] = (
    (
        Rule("layout"),
        "$BEGINDATA $ENDDATA $BEGINANALYSIS $ENDANALYSIS $BEGINSTEXT $ENDSTEXT $NEXTDATA $BEGINTEXT $ENDTEXT",
    ),
    # How the events are stored and what the channels are: without it there are no counts.
    (
        Rule("keep"),
        "$BYTEORD $DATATYPE $MODE $CYT $SPILLOVER SPILLOVER SPILL $COMP COMP $DFC#TO# $UNICODE $ORIGINALITY $TR "
        "$CARRIERTYPE $UNSTAINEDCENTERS $P#N $P#S $P#D $P#F $P#T $P#DATATYPE $P#DET $P#TAG $P#TYPE $P#FEATURE "
        "$P#ANALYTE $P#CALIBRATION $PK#N $G#N $G#S $G#F $G#T $R#I $GATING CREATOR CHARSET THRESHOLD TRANSFORMATION "
        "DET|SPILL ANALOG|COMP #TR# #SECONDARYTHRESHOLD #LASER#COLOR #LASERCONFIG #LASERCONFIGURATION "
        "#SOFTWAREVERSION LASER#NAME P#DETECTORNAME P#DISPLAY P#TYPE #P#DETECTORNAME #P#DIMENSION #P#LABEL #P#TARGET "
        "BD$P#N BDPM$FL# @P#Q @P#C @P#U @DISCRIMINATOR FJ$ACQSTATE P$CFGTYPE CST|SETUP|STATUS CST|REGULATORY|STATUS "
        "@MB|P#|USERNAME @MB|P#|BASE @MB|P#|RANGE @MB|P#|SCALE @MB|P#|VIEW",
    ),
    (
        Rule("numbers"),
        "$PAR $TOT $ABRT $LOST $TIMESTEP $VOL $FLOWRATE $CSMODE $CSVBITS $CSV#FLAG $CSTOT $GATE $PK# $PKN# "
        "$P#B $P#E $P#G $P#L $P#O $P#P $P#R $P#V $G#E $G#P $G#R $G#V $R#W $WELLID $LOCATIONID WELL|ID BDPM$WELL "
        "BD$NPAR BD$LASERMODE BD$ACQLIBVERSION BD$WORD# LASER#ASF LASER#DELAY FSC|ASF WINDOW|EXTENSION TIMETICKS P#BS "
        "P#MS P#HI P#LO P#THRESVOL FCSVERSION APPLY|COMPENSATION AUTOBS START|BATCH END|BATCH FLOWCORE|$P#RMAX "
        "FLOWCORE|$P#RMIN FJ|$P#R FJ|$TIMESTEP #P#DETECTORNUMBER #P#ISFLUORESCENT #P#MAXUSEFULDATACHANNEL "
        "#P#VIRTUALGAIN #LASER#ASF #LASER#DELAY #BDACCURIDECADES# #ACQUISITIONTIMEMILLI #ATIM #WIDTHTHRESHOLD #WINEXT "
        "#FLOWRATE @P#ADDRESS @P#GAIN @P#X @P#Z @ABSCALFACTOR @ACQTIME @BASELINEOFFSET @BUILDNUMBER ACQTIME ORIG|TOT "
        "&#MIXING|VOL &#SAMPLE|VOL &#NUMBER|OF|MIXES &#NUMBER|OF|WASHES BDPM$SAMPLE|VOLUME BDPM$SAMPLE|RATE "
        "CST|BEADS|EXPIRED",
    ),
    # The serial number is the cytometer's, not the patient's: kept, because it tells which tubes may be compared.
    (Rule("read", why="serial number of the cytometer"), "$CYTSN CYTNUM CYTSN @CYTOMETERID CYTOMETER|ID"),
    (Rule("read", why="lot number"), "CST|BEADS|LOT|ID BEADS|LOT|ID BEAD|LOT"),
    (Rule("read", why="system, may hold the name of a computer"), "$SYS"),
    (Rule("read", why="free text of the standard"), "$UNSTAINEDINFO"),
    (Rule("read", why="time of day"), "$BTIM $ETIM"),
    (Rule("shift", why="date"), "$DATE $BEGINDATETIME $ENDDATETIME"),
    # The same day in the tubes of several subjects: shifted by each one's own days, it would give away how their shifts
    # differ, and then every date of all of them.
    (
        Rule("remove", why="date of the cytometer or of an export, shared by several subjects"),
        "$LAST|MODIFIED EXPORT|TIME CST|SETUP|DATE CST|BASELINE|DATE CST|PERFORMANCE|EXPIRED #PTDATE "
        "CYTOMETER|CONFIG|CREATE|DATE @SETTINGSFILEDATETIME",
    ),
    # Standard keywords that hold names and free text.
    (Rule("subject", "person", "source of the specimen"), "$SRC"),
    (Rule("sample", "label", "label of the specimen"), "$SMNO #SAMPLE &#SAMPLE &#SAMPLEID SAMPLE SPECIMEN"),
    (Rule("file", "label", "file name"), "$FIL FIL FILENAME FILE|NAME"),
    (Rule("remove", "person", "person"), "$OP $EXP $LAST|MODIFIER"),
    (Rule("remove", "label", "institution"), "$INST $INSTADDRESS"),
    (Rule("remove", "label", "free text"), "$COM $CELLS $PROJ $PLATENAME $PLATEID $CARRIERID $RUNID $RUNNUMBER"),
    (Rule("remove", "label", "name of a setting"), "USERSETTINGNAME CYTOMETER|CONFIG|NAME"),
    (Rule("remove", why="settings and workspaces in code"), "@MB|ANALYSIS @MB|EXPERIMENT @MB|INSSET @MB|SESSIONID"),
    # They lead to bytes outside the segments, which are not copied.
    (Rule("remove", why="leads to bytes that are left out"), "@ACQUISITION|PROTOCOL|OFFSET P$SCFGZIP"),
)

#: Words within a keyword, in this order.
_WORDS: tuple[tuple[Rule, str], ...] = (
    (
        Rule("remove", "subject", "person's details"),
        r"BIRTH|\bDOB\b|\bAGE\b|\bSEX\b|GENDER|\bRACE\b|ETHNIC|INITIALS|SURNAME|MAIDEN|(FIRST|LAST|FAMILY|GIVEN) ?NAME"
        r"|ADDRESS|STREET|POSTAL|ZIP ?CODE|PHONE|\bFAX\b|E-?MAIL|INSURANCE",
    ),
    (
        Rule("subject", "subject", "subject"),
        r"PATIENT|SUBJECT|DONOR|VOLUNTEER|PARTICIPANT|PROBAND|\bMRN|\bSSN|\bNHS\b|MEDICAL ?REC|HEALTH ?(CARD|PLAN)"
        r"|HOSPITAL ?(ID|N)|(CASE|CHART|RECORD) ?(ID|N)|ACCESSION|SCREENING|ENROL|\bVRC ?ID|\bPIN\b|\bPID\b",
    ),
    (
        Rule("remove", "person", "person"),
        r"OPERATOR|USER|LOGIN|AUTHOR|INVESTIGATOR|TECHNICIAN|MODIFIER|OWNER|SIGNATURE|SIGNED|APPROV|REVIEWE|ANALYST"
        r"|SCIENTIST|SUBMITTER|SENDER|REQUEST|CUSTOMER|PHYSICIAN|DOCTOR|\bNURSE|CONTACT|\bPERSON"
        r"|(CREATED|MODIFIED|ACQUIRED|EXPORTED|PERFORMED|RECORDED|ORDERED) ?BY",
    ),
    (
        Rule("remove", "label", "place or computer"),
        r"INSTITUT|HOSPITAL|CLINIC|\bWARD\b|DEPARTMENT|\bDEPT|FACILITY|LABORATORY|\bLAB\b|\bSITE\b|\bCITY\b|COUNTRY"
        r"|LOCATION|WORKSTATION|COMPUTER|\bHOST|MACHINE ?NAME|COMPANY|ORGANI[SZ]ATION|\bURL\b|\bIP\b",
    ),
    (
        Rule("sample", "label", "label of the sample"),
        r"SAMPLE ?(ID|NAME|NO\b|NUMBER|LABEL|CODE)|SPECIMEN|TUBE ?(NAME|ID|LABEL)|\bVIAL|BARCODE|ALIQUOT",
    ),
    (Rule("file", "label", "file name"), r"^ORIG(INAL)? ?(FILE|GUID|FIL)$|^GUID ORIGINAL$|^TEST ?FILE$"),
    (
        Rule("remove", "label", "label, file or free text"),
        r"GUID|UUID|\bUID\b|CHECKSUM|FILE|FOLDER|DIRECTORY|\bPATH\b|PREFIX|DOCUMENT|DOC$|EXPERIMENT|PROJECT|PROTOCOL|STUDY"
        r"|PLATE|GROUP|WORKLIST|COMMENT|\bNOTES?\b|REMARK|DESCRIPTION|\bMEMO\b|SETTINGS?$|SERIAL|\bID$|NAME\b|NAME$",
    ),
    (Rule("shift", why="date"), r"(?<!UP)DATE|TIME ?STAMP"),
)

_SEPARATORS = re.compile(r"[\s_.\-]+")
_DIGITS = re.compile(r"\d+")
_EXACT_RULES = {key.replace("|", " "): replace(rule, listed=True) for rule, keys in _EXACT for key in keys.split()}
_WORD_RULES = tuple((re.compile(words), rule) for rule, words in _WORDS)

_UNIT = (
    r"nm|um|µm|mw|w|mv|v|hz|khz|mhz|ns|us|µs|ms|s|sec|min|ul|µl|nl|ml|c|bits?|lin|linear|log|logarithmic|arithmetic|"
    r"geometric|true|false|yes|no|on|off|none|nan|inf|open|closed|enabled|disabled|area|height|width|units|not|set|am|pm"
)
_WORD = re.compile(r"[^\W_]+")
#: 12, 488nm, nm, 07e (of 1.07e+09), 04T12 and T12 (of a time), A12 (a well).
_NUMBER = re.compile(rf"\d+(?:{_UNIT}|[etxz]|[et]\d+)?|{_UNIT}|t\d\d|[a-p]\d\d?", re.IGNORECASE)
_EMPTY = re.compile(r"[\W_]*|[x0\s]{3,}|true|false|yes|no|on|off|none|n/?a|null|nan|unknown|default", re.IGNORECASE)


@lru_cache(maxsize=4096)
def rule_for(keyword: str) -> Rule:
    """Return the rule for a keyword, in any case."""
    key = _SEPARATORS.sub(" ", keyword.upper()).strip()
    for form in (_DIGITS.sub("#", key), key):
        if form in _EXACT_RULES:
            return _EXACT_RULES[form]
    words = _DIGITS.sub("", key)
    for pattern, rule in _WORD_RULES:
        if pattern.search(words):
            return rule
    return READ


def is_numbers(value: str) -> bool:
    """Whether a value is numbers, units and on-or-off words: nothing that a person needs to read."""
    return all(map(_NUMBER.fullmatch, _WORD.findall(value)))


def says_nothing(value: str) -> bool:
    """Whether a value is blank or a word such as FALSE or NA, in which nobody can be found."""
    return _EMPTY.fullmatch(value.strip()) is not None
