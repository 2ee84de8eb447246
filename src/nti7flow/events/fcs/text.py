"""TEXT and ANALYSIS segments: bytes to keywords.

A doubled delimiter is one literal delimiter. Programs that write empty values, which the standard forbids for that
very reason, make it ambiguous; keywords never hold the delimiter, and that settles almost every case.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nti7flow.events import codes
from nti7flow.events.codes import Code
from nti7flow.events.notes import Findings, refusal

#: More than this is not what a cytometer writes.
LARGEST_TEXT = 16 << 20
MOST_KEYWORDS = 100_000
MOST_ESCAPES = 1_000_000
PADDING = b" \t\r\n\x00"
REQUIRED = ("$PAR", "$DATATYPE", "$BYTEORD")
_REQUIRED = re.compile(r"\$(PAR|TOT|MODE|DATATYPE|BYTEORD|NEXTDATA|(BEGIN|END)DATA|P\d+[BENR])")
_STANDARD = re.compile(
    r"\$(PAR|TOT|MODE|DATATYPE|BYTEORD|NEXTDATA|(BEGIN|END)(DATA|STEXT|ANALYSIS|DATETIME)|ABRT|BTIM|CARRIER(ID|TYPE)|CELLS"
    r"|COM|COMP|CSMODE|CYT|CYTSN|DATE|ETIM|EXP|FIL|FLOWRATE|GATE|GATING|INST|LAST_MODIFI(ED|ER)|LOCATIONID|LOST|OP"
    r"|ORIGINALITY|PLATE(ID|NAME)|PROJ|SMNO|SPILL|SPILLOVER|SRC|SYS|TIMESTEP|TR|UNICODE|UNSTAINED(CENTERS|INFO)|VOL|WELLID"
    r"|P\d+([BDEFGLNOPRSTV]|ANALYTE|CALIBRATION|DATATYPE|DET|FEATURE|TAG|TYPE))"
)


@dataclass(frozen=True)
class Tokens:
    """A TEXT segment taken apart. ``odd`` are the codes of what had to be repaired."""

    pairs: tuple[tuple[bytes, bytes], ...]
    odd: tuple[Code, ...] = ()


@dataclass(frozen=True)
class Keywords:
    """Keywords of a segment: upper case, with their values as written; and where its last delimiter is."""

    values: dict[str, str]
    delimiter: bytes
    length: int


class NotKeywords(Exception):
    """A segment cannot be taken apart; says what was found."""


def parse_keywords(
    raw: bytes,
    findings: Findings,
    *,
    begin: int,
    what: str = "TEXT",
    required: Sequence[str] = REQUIRED,
    expected: bytes = b"",
) -> Keywords:
    """Take a segment apart.

    Parameters
    ----------
    raw : bytes
        The segment; its first byte is the delimiter.
    findings : Findings
        Where repairs are noted.
    begin : int
        Its first byte in the file, for messages.
    required : sequence of str
        Keywords that must be there.
    expected : bytes
        Delimiter of TEXT, for another segment: one that has a different delimiter must be faultless to be keywords.

    Raises
    ------
    NotKeywords
        Keywords and values are out of step, or a required keyword is missing.
    FcsError
        It is beyond all measure, or a keyword stands twice with different values.
    """
    delimiter = raw[:1]
    doubled = raw.count(delimiter * 2)
    tokens_at_least = raw.count(delimiter) - 2 * doubled
    if len(raw) > LARGEST_TEXT or tokens_at_least > 2 * MOST_KEYWORDS or doubled > MOST_ESCAPES:
        raise refusal(
            codes.TEXT_TOO_LARGE,
            path=findings.path,
            found=f"{what} of {len(raw):,} bytes with {raw.count(delimiter):,} delimiters",
            byte_offset=begin,
        )
    foreign = bool(expected) and delimiter != expected
    padding = PADDING.replace(delimiter, b"")
    body = raw[1:].rstrip(padding)
    ends = body.endswith(delimiter)
    tokens = take_apart(body[:-1] if ends else body, delimiter, required)
    if foreign and (tokens.odd or not ends or any(not key.decode("latin-1").isprintable() for key, _ in tokens.pairs)):
        raise NotKeywords(f"{raw[:12]!r}, no keywords")
    if not 1 <= delimiter[0] <= 126:
        findings.add(codes.ODD_DELIMITER, found=f"{delimiter!r} in {what}", assumed="used as it is", byte_offset=begin)
    _note_repairs(tokens, what, findings, begin)
    values = _decode(tokens, findings, begin, what)
    return Keywords(values, delimiter, 1 + len(body) if ends else len(raw))


def is_required(key: str) -> bool:
    """Whether the standard wants a keyword in the primary TEXT segment."""
    return _REQUIRED.fullmatch(key) is not None


def take_apart(body: bytes, delimiter: bytes, required: Sequence[str]) -> Tokens:
    """Split what stands between the first and the last delimiter into keywords and values."""
    strict = _strict(body, delimiter)
    sound = strict is not None and not _lost(strict, required)
    # A doubled delimiter in a keyword is an empty value, unless it is a letter that the required keywords hold.
    if strict is not None and sound and not any(delimiter in key for key, _ in strict.pairs):
        return strict
    lenient = _lenient(body, delimiter)
    if lenient is not None and not _lost(lenient, required):
        return lenient
    if strict is not None and sound and any(delimiter in key.encode() for key in required):
        return strict
    lost = next((_lost(tokens, required) for tokens in (strict, lenient) if tokens is not None), "")
    raise NotKeywords(lost or "keywords and values out of step")


def _strict(body: bytes, delimiter: bytes) -> Tokens | None:
    """Read as the standard says; None where that leaves an odd number of tokens, or an empty one."""
    tokens, start = [], 0
    for run in re.finditer(re.escape(delimiter) + b"+", body):
        if len(run[0]) % 2:  # the last of an odd number separates; all others are pairs
            tokens.append(body[start : run.end() - 1].replace(delimiter * 2, delimiter))
            start = run.end()
    tokens.append(body[start:].replace(delimiter * 2, delimiter))
    if len(tokens) % 2 or b"" in tokens or not all(key.strip() for key in tokens[::2]):
        return None
    return Tokens(tuple(zip(tokens[::2], tokens[1::2], strict=True)))


def _lenient(body: bytes, delimiter: bytes) -> Tokens | None:
    """Read with empty values: nothing between two delimiters is a value behind a keyword, an escape behind a value."""
    if body.count(delimiter) > 4 * MOST_KEYWORDS:
        return None
    plain = body.split(delimiter)
    pairs: list[tuple[bytes, bytes]] = []
    odd: dict[str, Code] = {}
    i, n = 0, len(plain)
    while i < n:
        key = plain[i]
        if not key.strip():
            return None
        if i + 1 == n:
            odd["key"] = codes.ODD_TOKENS
            pairs.append((key, b""))
            break
        value = plain[i + 1]
        i += 2
        if value == b"":
            odd["empty"] = codes.EMPTY_VALUES
        while i < n and plain[i] == b"":
            if value == b"":
                return None  # three delimiters behind a keyword
            if i + 1 == n:
                odd["end"] = codes.DOUBLED_FINAL_DELIMITER
                i += 1
            else:
                value += delimiter + plain[i + 1]
                i += 2
        pairs.append((key, value))
    return Tokens(tuple(pairs), tuple(odd.values()))


def _lost(tokens: Tokens, required: Sequence[str]) -> str:
    """Say what shows that values stand behind the wrong keywords; empty where nothing does."""
    found = {key.strip().upper() for key, _ in tokens.pairs}
    missing = [key for key in required if key.encode() not in found]
    if missing:
        return f"no {', '.join(missing)}"
    following = [key for key, _ in tokens.pairs[1:]] + [b"$"]
    for (key, value), after in zip(tokens.pairs, following, strict=True):
        keyword = value.strip().upper()
        if keyword in found or after.lstrip().startswith(b"$"):
            continue  # a value that happens to be a keyword: were it one, its own value would come next
        if keyword.startswith(b"$") and _STANDARD.fullmatch(keyword.decode("latin-1")):
            return f"keyword {keyword.decode()} in the place of a value, behind {key.decode('latin-1')[:40]!r}"
    return ""


def _decode(tokens: Tokens, findings: Findings, begin: int, what: str) -> dict[str, str]:
    values: dict[str, str] = {}
    latin = []
    for raw_key, raw_value in tokens.pairs:
        key, key_is_utf8 = _text(raw_key)
        value, value_is_utf8 = _text(raw_value)
        key = key.strip().upper()
        if not (key_is_utf8 and value_is_utf8):
            latin.append(key)
        if key not in values:
            values[key] = value
            continue
        if values[key] != value:
            raise refusal(
                codes.CONFLICTING_KEYWORD,
                path=findings.path,
                found=f"{key} twice in {what}: {values[key][:60]!r} and {value[:60]!r}",
                expected="one value",
                byte_offset=begin,
            )
        findings.add(codes.REPEATED_KEYWORD, found=f"{key} twice with the same value", assumed="used once")
    for key in latin:
        findings.add(codes.LATIN_1, found=key[:40], assumed="read as Latin-1")
    return values


def _text(raw: bytes) -> tuple[str, bool]:
    try:
        return raw.decode("utf-8"), True
    except UnicodeDecodeError:
        return raw.decode("latin-1"), False


def _note_repairs(tokens: Tokens, what: str, findings: Findings, begin: int) -> None:
    for code in tokens.odd:
        if code is codes.EMPTY_VALUES:
            names = [key.decode("latin-1").strip()[:40] for key, value in tokens.pairs if value == b""]
            for name in names:
                findings.add(code, found=f"no value behind {name}", assumed="read as empty", byte_offset=begin)
        elif code is codes.ODD_TOKENS:
            last = tokens.pairs[-1][0].decode("latin-1")[:40]
            findings.add(
                code, found=f"{last!r} at the end of {what}", assumed="read as an empty value", byte_offset=begin
            )
        else:
            findings.add(
                code, found=f"two delimiters at the end of {what}", assumed="one is padding", byte_offset=begin
            )
