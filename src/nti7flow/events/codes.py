"""Every code an FCS file can be noted or refused with: the one table, from which docs/reference/fcs_codes is made.

A code never changes its meaning; one that is no longer used is not given out again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["note", "repair", "salvage", "refusal"]
Severity = Literal["info", "review"]

#: What the kinds mean, for the reference page.
KINDS: dict[Kind, str] = {
    "note": "the file conforms to the standard and something about it is worth knowing",
    "repair": "the file breaks the standard and has exactly one consistent reading; refused with repair='none'",
    "salvage": "part of the events is lost; read only with repair='salvage', and for review in every table",
    "refusal": "never read: more than one reading is possible, or none",
}


@dataclass(frozen=True, slots=True)
class Code:
    """One thing that can be odd or wrong about a file.

    Attributes
    ----------
    code : str
        ``FCS012``.
    kind : str
        ``note``, ``repair``, ``salvage`` or ``refusal``.
    title : str
        What is the matter, in a few words.
    meaning : str
        Notes: how the file is read all the same. Refusals: why it cannot be read.
    what_to_do : str
        Advice to the lab; empty where nothing needs doing.
    severity : str
        ``info``, or ``review`` where a person must look before a count is used.
    """

    code: str
    kind: Kind
    title: str
    meaning: str
    what_to_do: str = ""
    severity: Severity = "info"


CODES: dict[str, Code] = {}

_EXPORT = "Export the file again from the acquisition software."
_COPY = "Copy the file again from where it was acquired; what is there can be had with repair='salvage'."


def _code(
    number: int, kind: Kind, title: str, meaning: str, what_to_do: str = "", *, severity: Severity = "info"
) -> Code:
    code = Code(f"FCS{number:03d}", kind, title, meaning, what_to_do, severity)
    if code.code in CODES:
        raise ValueError(f"{code.code} is given twice")
    CODES[code.code] = code
    return code


# --- the file -------------------------------------------------------------------------------------

NO_FILE = _code(1, "refusal", "no such file", "There is nothing at this path.", "Check the path.")
NOT_REGULAR = _code(
    2, "refusal", "not a regular file", "A folder, pipe, socket or device is not opened.", "Give the path of a file."
)
UNREADABLE = _code(
    3, "refusal", "cannot be read", "The operating system refuses to read it.", "Check permissions and the medium."
)
EMPTY_FILE = _code(4, "refusal", "empty file", "The file has no bytes.", _COPY.partition(";")[0] + ".")
OTHER_FORMAT = _code(
    5,
    "refusal",
    "another format",
    "The first bytes are those of a compressed file, an archive, a workspace or a document.",
    "Unpack it first, or export the tube as FCS.",
)
NOT_FCS = _code(
    6, "refusal", "not an FCS file", "It does not begin with 'FCS'.", "Export the tube as FCS from the software."
)
UNKNOWN_VERSION = _code(
    7,
    "refusal",
    "unknown version",
    "Only FCS 2.0, 3.0, 3.1 and 3.2 are read.",
    "Export the tube as FCS 3.1.",
)
CHANGED = _code(
    8,
    "refusal",
    "changed while it was read",
    "Size or time of the file are not what they were when it was opened.",
    "Wait until its copy is finished, then read it again.",
)

# --- HEADER and TEXT ------------------------------------------------------------------------------

BAD_HEADER = _code(10, "refusal", "damaged HEADER", "An offset of the HEADER is not a number.", _EXPORT)
BAD_TEXT_OFFSETS = _code(
    11, "refusal", "TEXT is not where the HEADER says", "The TEXT segment cannot lie at these offsets.", _EXPORT
)
TEXT_OFF_BY_ONE = _code(
    12,
    "repair",
    "TEXT offset off by one",
    "The HEADER misses the first or last byte of TEXT by one; the delimiters show where it lies, and are believed.",
)
NO_FINAL_DELIMITER = _code(
    13,
    "repair",
    "no final delimiter",
    "TEXT does not end with its delimiter; nothing but padding follows, so the last value is read as complete.",
)
EMPTY_VALUES = _code(
    14,
    "repair",
    "empty keyword values",
    "The standard forbids empty values, because two delimiters in a row are one literal delimiter. A doubled delimiter "
    "behind a keyword is read as an empty value, one behind a value as a literal delimiter.",
)
ODD_TOKENS = _code(
    15, "repair", "last keyword without value", "TEXT ends behind a keyword; its value is read as empty."
)
TEXT_OUT_OF_STEP = _code(
    16,
    "refusal",
    "keywords and values out of step",
    "A keyword or value is lost or damaged, so which value belongs to which keyword cannot be known.",
    _EXPORT,
)
LATIN_1 = _code(
    17,
    "repair",
    "text that is not UTF-8",
    "A keyword or value holds bytes that are not UTF-8; it is read as Latin-1, what older programs write.",
    "If a name looks wrong, correct it in the acquisition software.",
)
ODD_DELIMITER = _code(
    18, "repair", "unusual delimiter", "The delimiter is not one of the ASCII characters 1 to 126; it is used as it is."
)
REPEATED_KEYWORD = _code(19, "repair", "repeated keyword", "A keyword stands twice with the same value, which is used.")
CONFLICTING_KEYWORD = _code(
    20,
    "refusal",
    "conflicting keyword",
    "Its two values differ, and which one is meant cannot be known.",
    _EXPORT,
)
MISSING_KEYWORD = _code(21, "refusal", "required keyword missing", "Without it the events cannot be read.", _EXPORT)
BAD_KEYWORD = _code(22, "refusal", "keyword with an impossible value", "Without it the events cannot be read.", _EXPORT)
TEXT_TOO_LARGE = _code(
    23,
    "refusal",
    "TEXT beyond all measure",
    "TEXT has more than 16 MiB or 100,000 keywords: it is not what a cytometer writes.",
    _EXPORT,
)
SUPPLEMENT_UNREADABLE = _code(
    24,
    "repair",
    "supplemental TEXT holds no keywords",
    "The segment does not begin and end like TEXT, or is out of step; it is left out. TEXT has all required keywords.",
)
DOUBLED_FINAL_DELIMITER = _code(
    25, "repair", "doubled final delimiter", "TEXT ends with two delimiters; the last one is taken as padding."
)
SUPPLEMENT_IS_TEXT = _code(
    26, "repair", "supplemental TEXT is TEXT itself", "Both segments begin at the same byte; it is read once."
)
LOWER_CASE = _code(
    27, "repair", "letter in lower case", "The standard writes the values of $MODE and $DATATYPE in capitals."
)
SUPPLEMENT_REQUIRED = _code(
    28,
    "repair",
    "required keyword in supplemental TEXT",
    "The standard wants what the events need in TEXT itself; it is read from the supplement.",
)
MIXED_TYPES = _code(
    29, "repair", "$PnDATATYPE before FCS 3.2", "Channels with a type of their own are read as FCS 3.2 has them."
)

# --- several data sets ----------------------------------------------------------------------------

MORE_DATA_SETS = _code(
    30,
    "note",
    "more data sets",
    "The file holds several data sets, of which one was read. Each is a sample of its own.",
    "Read the others with data_set=1, 2 ….",
    severity="review",
)
BAD_NEXT = _code(
    31,
    "refusal",
    "$NEXTDATA leads nowhere",
    "$NEXTDATA must point forward to the HEADER of another data set behind this one, inside the file.",
    _COPY,
)
NEXT_ABSOLUTE = _code(
    32,
    "repair",
    "$NEXTDATA counted from the start of the file",
    "The standard counts from the start of the data set, where no HEADER is found; the count from the start of the "
    "file leads to one.",
)
NO_DATA_SET = _code(33, "refusal", "no such data set", "The file holds fewer data sets.", "Data sets count from 0.")
NEXT_IS_END = _code(
    34,
    "repair",
    "$NEXTDATA points to the end of the file",
    "Nothing is there; this is taken as the last data set. A file cut between two data sets looks the same.",
    "See whether the file should hold more tubes.",
    severity="review",
)

NEXT_LOST = _code(
    35,
    "salvage",
    "further data sets lost",
    "$NEXTDATA points beyond the end of the file; this data set is read, those behind it are lost.",
    "Do not use its counts before a person has looked; copy the file again if you can.",
    severity="review",
)
NO_NEXT = _code(36, "repair", "$NEXTDATA missing", "Taken as the last data set of its file.")

# --- where the segments are -----------------------------------------------------------------------

OFFSETS_DIFFER = _code(
    40,
    "repair",
    "HEADER and TEXT differ",
    "HEADER and TEXT place a segment differently; only one agrees with file size and $TOT x row size, and is used.",
)
OFF_BY_ONE = _code(
    41,
    "repair",
    "DATA offset off by one",
    "DATA is a byte longer or shorter than its events; one place agrees with $TOT and with what stands around it.",
)
BLANK_OFFSETS = _code(
    42, "repair", "offsets blank or 0", "HEADER or TEXT leave a segment's place open that the other one names."
)
WRAPPED_OFFSETS = _code(
    43,
    "repair",
    "offset beyond 99,999,999 wrapped",
    "The HEADER has room for eight digits and holds only the last ones; the full offset is used.",
)
CONTRADICTORY_OFFSETS = _code(
    44,
    "refusal",
    "contradictory offsets",
    "No reading, or more than one, agrees with file size and $TOT x row size.",
    _EXPORT,
)
OVERLAP = _code(45, "refusal", "segments overlap", "Two segments claim the same bytes.", _EXPORT)
BEYOND_FILE = _code(
    46, "refusal", "file truncated, or offsets wrong", "The file is truncated or its offsets are wrong.", _COPY
)
WRONG_TOTAL = _code(
    47,
    "refusal",
    "$TOT and DATA disagree",
    "$TOT events do not fill the DATA segment; how many there are cannot be known.",
    _COPY,
)
NO_TOTAL = _code(48, "repair", "$TOT missing", "The events are counted from the size of the DATA segment.")
TRUNCATED = _code(
    49,
    "salvage",
    "truncated file",
    "The file ends inside DATA. The events that are there were read; how many are lost is known from $TOT.",
    "Do not use its counts before a person has looked; copy the file again if you can.",
    severity="review",
)
SALVAGED_TOTAL = _code(
    50,
    "salvage",
    "$TOT and DATA disagree, salvaged",
    "The whole events were read that both $TOT and the DATA segment hold.",
    "Do not use its counts before a person has looked.",
    severity="review",
)
WRONG_CRC = _code(
    51, "refusal", "wrong checksum", "The checksum behind the data is not that of the bytes: some were changed.", _COPY
)
BAD_ANALYSIS = _code(
    52,
    "repair",
    "ANALYSIS holds no keywords",
    "The segment is not keywords and values; it is left out. No event depends on it.",
)
TOTAL_IN_BYTES_LEFT = _code(
    53,
    "salvage",
    "incomplete last event",
    "The DATA segment ends inside an event, which was left out.",
    "Do not use its counts before a person has looked.",
    severity="review",
)

# --- types and channels ---------------------------------------------------------------------------

UNSUPPORTED_MODE = _code(
    60,
    "refusal",
    "histograms, not events",
    "$MODE C and U hold histograms; only list mode L holds events.",
    "Export the tube in list mode.",
)
UNSUPPORTED_TYPE = _code(
    61, "refusal", "unsupported data type", "$DATATYPE and $PnDATATYPE may be I, F, D or A.", _EXPORT
)
UNSUPPORTED_ORDER = _code(
    62, "refusal", "unsupported byte order", "$BYTEORD must name each byte once, such as 4,3,2,1.", _EXPORT
)
UNSUPPORTED_WIDTH = _code(
    63,
    "refusal",
    "unsupported width",
    "$PnB does not go with the data type, and the size of DATA does not settle it.",
    _EXPORT,
)
WIDTH_BY_SIZE = _code(
    64,
    "repair",
    "$PnB settled by the size of DATA",
    "$PnB does not go with the data type; only the type's own width agrees with the size of DATA.",
)
PADDED_BITS = _code(
    65,
    "repair",
    "values in whole bytes",
    "$PnB is no multiple of 8, and DATA has just the size of values in whole bytes; the bits above $PnB are dropped.",
)
PACKED_BITS = _code(
    66,
    "repair",
    "values packed bit by bit",
    "$PnB is no multiple of 8, and DATA has just the size of values packed without gaps; most significant bit first in "
    "big-endian files, least significant first in little-endian ones.",
)
JUNK_BITS = _code(
    67, "note", "bits above $PnR", "Integers carry bits above their range, which the standard says to drop; dropped."
)
NO_RANGE = _code(
    68, "repair", "$PnR missing or not a number", "Integers keep all their bits; axes reach to a default top."
)
AMPLIFIER_OFFSET = _code(
    69, "repair", "log amplifier with offset 0", "$PnE such as '4,0' is read as '4,1', as the standard advises."
)
AMPLIFIER_ON_FLOAT = _code(
    70, "repair", "log amplifier on floating-point data", "Such values are linear already; $PnE is not applied."
)
NO_AMPLIFIER = _code(71, "repair", "$PnE missing", "The channel is read as linear.")
BAD_AMPLIFIER = _code(
    72, "refusal", "unreadable $PnE", "Without it the values of the channel cannot be made linear.", _EXPORT
)
BAD_GAIN = _code(73, "repair", "unreadable $PnG", "No positive number: the gain is read as 1.")
BAD_TIME_STEP = _code(
    74, "repair", "unreadable $TIMESTEP", "No positive number: time is left in the units of the file."
)
NOT_FINITE = _code(
    75, "note", "values that are no numbers", "NaN or infinite values are kept bit for bit; no gate holds a NaN."
)
LARGE_INTEGERS = _code(
    76,
    "note",
    "integers beyond 2^53",
    "Scale values, and integers beside floating-point channels, are rounded to doubles.",
)
BAD_ASCII = _code(77, "refusal", "unreadable ASCII data", "A value of $DATATYPE A is not a whole number.", _EXPORT)
GAIN_ON_LOG = _code(
    78, "repair", "gain on a log amplifier", "$PnG does not apply to a logarithmic channel; it is not divided out."
)
DUPLICATE_NAME = _code(
    80,
    "refusal",
    "duplicate $PnN",
    "Two channels have the same name; which is which cannot be known.",
    "Give the channels different names in the acquisition software and export again.",
)
NO_NAME = _code(81, "refusal", "missing $PnN", "A channel has no name.", _EXPORT)

# --- spillover ------------------------------------------------------------------------------------

_CSV = "Give the right matrix with --spillover PATH.csv."

BAD_SPILLOVER = _code(
    90,
    "repair",
    "spillover keyword cannot be used",
    "The events are read; compensating with this keyword is refused.",
    _CSV,
)
SPILLOVER_SEPARATORS = _code(
    91,
    "repair",
    "spillover with odd separators",
    "Semicolons or tabs separate, commas are decimal points or stand in names, or the value ends with separators; only "
    "one reading gives as many names and numbers as it announces.",
)
SPILLOVER_TWICE = _code(
    92, "repair", "several spillover keywords", "They hold the same matrix to a millionth; the first is used."
)
SPILLOVER_UNKNOWN = _code(
    93,
    "repair",
    "spillover names a channel the tube lacks",
    "The channel neither gives to nor takes from another one, so the rest of the matrix stands without it.",
    _CSV,
)
SPILLOVER_NAMES = _code(
    94,
    "repair",
    "spillover names differ from $PnN",
    "They are $PnN but for blanks, case, a Comp- prefix or angle brackets, or they are $PnS or the channels' numbers; "
    "matched where only one channel fits.",
    "Compare the names with those of the tube.",
)
SPILLOVER_SCALED = _code(
    95, "repair", "spillover without unit diagonal", "Each row is divided by its diagonal, as for a matrix in percent."
)
NO_SPILLOVER = _code(
    96,
    "repair",
    "no spillover matrix",
    "The keyword holds a placeholder: a word, 0, or zeros alone. A tube without any such keyword is not noted; in both "
    "cases compensating with the file's own matrix is refused.",
    "Give the matrix with --spillover PATH.csv, or declare with --spillover none that there is nothing to compensate.",
)
UNNAMED_COMPENSATION = _code(
    97,
    "note",
    "compensation without channel names",
    "$COMP and $DFCmTOn of FCS 2.0 and 3.0 do not say which channels they mean, nor whether the events are compensated "
    "already; they are not used, and compensating with them is refused.",
    "Give the matrix with --spillover PATH.csv, or declare with --spillover none that there is nothing to compensate.",
)
