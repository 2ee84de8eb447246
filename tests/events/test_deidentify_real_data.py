"""Real files of many vendors: every one that can be read is de-identified, its events stay, its names are gone."""

import pytest

from nti7flow.errors import FcsError
from nti7flow.events.deidentify.identifiers import Identifiers
from nti7flow.events.deidentify.keywords import NewNames
from nti7flow.events.deidentify.rewrite import rewrite_fcs
from nti7flow.events.fcs import read_data_sets

#: Where these files are known to have names, labels, places and paths in; told by hand, not by the rules.
PERSONAL = (
    *("$OP", "$INST", "$SRC", "$SMNO", "$FIL", "$EXP", "$PROJ", "$COM", "$CELLS", "$LAST_MODIFIER", "$INSTADDRESS"),
    *("$PLATENAME", "$RUNNUMBER", "PATIENT ID", "SAMPLE ID", "SAMPLEID", "SUBJECT", "TUBE NAME", "EXPERIMENT NAME"),
    *("EXPORT USER NAME", "LOGIN NAME", "FILENAME", "GUID", "ORIGINALGUID", "ORIG_FILE", "GROUPNAME", "WORKSTATION"),
    *(
        "@FILEGUID",
        "@LOCATION",
        "@SAMPLEID1",
        "@SAMPLEID2",
        "@BARCODE",
        "@SETTINGSFILE",
        "@MB_EXPERIMENT",
        "@MB_ANALYSIS",
    ),
    *("VIAL ID", "FINAL PIN", "PLATE NAME", "PLATE ID", "USERSETTINGNAME", "TESTNAME", "CYTOMETER CONFIG NAME"),
)
#: Of these, what says nothing of anybody and may stand elsewhere: defaults of the programs, and names of dyes.
HARMLESS = {"default", "fitc", "7aad", "_001", "control"}


SEROLOGY = ("CD FIRST VIRAL LOAD DATE", "CD SEROCONVERSION DATAE")


@pytest.fixture(scope="module")
def real_files(shared_data):
    files = [path for path in sorted(shared_data.rglob("*")) if path.is_file() and path.stat().st_size]
    found = []
    for path in files:
        with path.open("rb") as stream:
            if stream.read(3) == b"FCS":
                found.append(path)
    assert len(found) > 100
    return found


def personal_values(keywords):
    values = {keywords.get(keyword, "").strip() for keyword in PERSONAL}
    return {v for v in values if len(v) >= 4 and v.lower() not in HARMLESS and len(set(v.lower())) > 1}


def test_every_readable_file_is_deidentified(real_files, tmp_path):
    n_written = n_values = 0
    for n, source in enumerate(real_files):
        target = tmp_path / f"S{n:03d}.fcs"
        names = NewNames(f"S{n:03d}", f"S{n:03d}", target.name, -137)
        try:
            before = list(read_data_sets(source))
        except FcsError:
            with pytest.raises(FcsError):
                rewrite_fcs(source, target, names, Identifiers())
            assert not target.exists()
            continue
        rewrite_fcs(source, target, names, Identifiers())
        after = list(read_data_sets(target))
        raw_before, raw_after = source.read_bytes(), target.read_bytes()
        left = raw_after
        assert len(before) == len(after)
        for (place, one), (new_place, other) in reversed(list(zip(before, after, strict=True))):
            first, last = new_place.data
            assert raw_after[first : last + 1] == raw_before[place.data[0] : place.data[1] + 1]
            assert one.events.dtype == other.events.dtype
            assert one.events.tobytes() == other.events.tobytes()
            assert one.panel.channels == other.panel.channels
            left = left[:first] + left[last + 1 :]
        values = {value for _, sample in before for value in personal_values(sample.keywords)} | {source.stem}
        for value in values:
            for code in ("utf-8", "latin-1", "utf-16-le", "utf-16-be"):
                coded = value.lower().encode(code, "ignore")
                assert len(coded) < 4 or coded not in left.lower(), (source, value)
        n_written += 1
        n_values += len(values)
        target.unlink()
    assert n_written > 105
    assert n_values > 500


def test_dates_of_real_files_are_shifted_or_gone(real_files, tmp_path):
    dates = {}
    for source in real_files:
        try:
            before = [sample.keywords for _, sample in read_data_sets(source)]
        except FcsError:
            continue
        target = tmp_path / "new.fcs"
        rewrite_fcs(source, target, NewNames("S1", "S1", "S1.fcs", -137), Identifiers())
        after = [sample.keywords for _, sample in read_data_sets(target)]
        for keyword in ("$DATE", "EXPORT TIME", "$LAST_MODIFIED", "CST SETUP DATE", "#PTDATE", "@Y2KDATE", *SEROLOGY):
            for old, new in zip(before, after, strict=True):
                if old.get(keyword, "").strip():
                    assert new.get(keyword) != old[keyword]
                    dates[keyword, old[keyword]] = new.get(keyword)
        target.unlink()
    assert dates["$DATE", "02-JUL-2013"] == "15-FEB-2013"
    assert dates["$DATE", "03-Feb-06"] == "19-Sep-05"
    assert dates["CD SEROCONVERSION DATAE", "04/30/1999"] == "12/14/1998"
    assert dates["CD FIRST VIRAL LOAD DATE", "11/09/1999"] is None
    assert dates["EXPORT TIME", "02-JUL-2013-00:29:00"] is None
    assert dates["@Y2KDATE", "20091111"] == "20090627"
    assert dates["CST SETUP DATE", "2018-10-22T12:57:54+02:00"] is None
    assert len([old for (keyword, old), new in dates.items() if keyword == "$DATE" and new is None]) == 0
    assert len(dates) > 50
