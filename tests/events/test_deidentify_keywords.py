"""Which keyword is recoded, removed, shifted, kept or shown to a person, whatever its vendor."""

import time

import pytest

from nti7flow.events.deidentify.identifiers import Identifiers, is_stock
from nti7flow.events.deidentify.keywords import LONGEST, WITHHELD, NewNames, recode, subject_of, without_decimals
from nti7flow.events.deidentify.rules import is_numbers, rule_for, says_nothing

NAMES = NewNames("S007", "S007_d14", "S007_d14.fcs", -137)


def recoded(keywords, *, shared=None, remove_unknown=False):
    """Rewrite keywords as those of one file: what is left, and the changes by keyword."""
    known = Identifiers()
    if shared is not None:
        known.update(shared)
    known.gather(keywords)
    kept, changes = recode(keywords, NAMES, known, remove_unknown=remove_unknown)
    return kept, {change.keyword: change for change in changes}


@pytest.mark.parametrize(
    ("keyword", "action"),
    [
        *[(key, "remove") for key in ("$OP", "$EXP", "$INST", "$PROJ", "$COM", "$CELLS", "$LAST_MODIFIER")],
        *[(key, "remove") for key in ("$PLATENAME", "$PLATEID", "$CARRIERID", "$RUNID", "$INSTADDRESS")],
        *[(key, "shift") for key in ("$DATE", "$BEGINDATETIME", "$ENDDATETIME", "DRAW DATE")],
        *[(key, "shift") for key in ("@Y2KDATE", "#BDACCURICAPTUREDDATE")],
        *[(key, "remove") for key in ("CST SETUP DATE", "#PTDATE", "EXPORT TIME", "$LAST_MODIFIED")],
        *[(key, "sample") for key in ("$SMNO", "SAMPLE ID", "SampleID", "TUBE NAME", "TUBENAME", "@SAMPLEID3")],
        *[(key, "sample") for key in ("#SAMPLE", "&3SAMPLE ID", "Specimen Name", "VIAL ID", "@BARCODE")],
        *[(key, "subject") for key in ("$SRC", "PATIENT ID", "Patient_Name", "&10PATIENT ID", "SUBJECT", "MRN")],
        *[(key, "subject") for key in ("Donor", "CASE NUMBER", "FINAL PIN", "Accession No", "SSN", "VRC ID")],
        *[(key, "file") for key in ("$FIL", "FILENAME", "File Name", "ORIG_FILE", "ORIGINALGUID", "GUID.ORIGINAL")],
        *[(key, "remove") for key in ("DOB", "Birth Date", "CD AGE", "PatientSex".upper(), "Patient Initials")],
        *[(key, "remove") for key in ("OPERATOR", "EXPORT USER NAME", "LOGIN NAME", "Investigator", "Created By")],
        *[(key, "remove") for key in ("EXPERIMENT NAME", "EXPERIMENT_NAME", "GUID", "FILE GUID", "@FILEGUID")],
        *[(key, "remove") for key in ("@LOCATION", "WORKSTATION", "SITE", "&4DATA FILE PREFIX PART 2", "GROUPNAME")],
        *[(key, "remove") for key in ("Comment", "PLATE NAME", "@ACQUISITION PROTOCOL OFFSET", "P$SCFGZIP")],
        *[(key, "keep") for key in ("$P3N", "$P12S", "$SPILLOVER", "SPILL", "$CYT", "CREATOR", "LASER1NAME")],
        *[(key, "keep") for key in ("P4DETECTORNAME", "#P1LABEL", "@MB_P3_USERNAME", "$P2ANALYTE", "P5DISPLAY")],
        *[(key, "numbers") for key in ("$PAR", "$TOT", "$VOL", "$TIMESTEP", "$P3V", "FSC ASF", "LASER3DELAY")],
        *[(key, "layout") for key in ("$BEGINDATA", "$ENDSTEXT", "$NEXTDATA")],
        *[(key, "read") for key in ("$CYTSN", "CYTNUM", "$SYS", "$BTIM", "VISIT", "DIAGNOSIS", "UPDATE RATE")],
    ],
)
def test_the_rule_of_a_keyword(keyword, action):
    found = rule_for(keyword)
    if keyword in ("PATIENTSEX", "Patient Initials"):
        assert found.action in ("remove", "subject")  # both are gone
    else:
        assert found.action == action
    assert rule_for(keyword.lower()) == rule_for(f" {keyword} ") == found


def test_by_hand():
    before = {
        "$BEGINDATA": "1024",
        "$PAR": "2",
        "$P1N": "FSC-A",
        "$P2S": "CD3",
        "$CYT": "FACSCanto",
        "$DATE": "04-OCT-2018",
        "$BTIM": "10:15:00",
        "$OP": "Ada Lovelace",
        "$SRC": "Doe^Jane",
        "$FIL": "Doe_Jane_d14.fcs",
        "PATIENT ID": "903867",
        "TUBE NAME": "CD3 CD4",
        "EXPERIMENT NAME": " ",
        "REMARK": "looked after by Ada",
        "STATE": "thawed for Jane DOE",
        "MODE OF ACTION": "fine",
        "LAST SERVICED": "07/16/2012 11:24:01 AM by nobody",
        "EXPIRES": "02/06/2014",
        "GATE SIZE": "12.5",
        "CREATED WITH LOVELACE": "yes",
    }
    after, changes = recoded(before)
    assert after == {
        "$PAR": "2",
        "$P1N": "FSC-A",
        "$P2S": "CD3",
        "$CYT": "FACSCanto",
        "$DATE": "20-MAY-2018",
        "$BTIM": "10:15:00",
        "$SRC": "S007",
        "$FIL": "S007_d14.fcs",
        "PATIENT ID": "S007",
        "TUBE NAME": "S007_d14",
        "EXPERIMENT NAME": " ",
        "MODE OF ACTION": "fine",
        "LAST SERVICED": "03/01/2012 11:24:01 AM by nobody",
        "GATE SIZE": "12.5",
    }
    assert {key: change.action for key, change in changes.items()} == {
        "$DATE": "shifted",
        "$OP": "removed",
        "$SRC": "recoded",
        "$FIL": "recoded",
        "PATIENT ID": "recoded",
        "TUBE NAME": "recoded",
        "REMARK": "removed",
        "STATE": "removed",
        "MODE OF ACTION": "kept",
        "LAST SERVICED": "shifted",
        "EXPIRES": "removed",
        WITHHELD: "removed",
    }
    assert {key for key, change in changes.items() if change.read} == {"MODE OF ACTION", "LAST SERVICED"}
    told = [f"{change.keyword} {change.value} {change.why}" for change in changes.values()]
    assert not [text for text in told for name in ("Lovelace", "LOVELACE", "Jane", "903867", "2014") if name in text]


@pytest.mark.parametrize(
    "value",
    [
        "thawed for jane doe",
        "DOE, JANE",
        "jané",
        "tube of D\x00O\x00E",
        "00903867",
        "no. 903867 again",
        "INF052 it was",
        "ada's tube",
        "jane.doe@example.org",
        r"C:\Users\anybody\tube.fcs",
        "/home/anybody/tube.fcs",
        r"\\server\share",
        "078-05-1120",
        "QUJD" * 20,
        "w " * LONGEST,
    ],
)
def test_names_in_unknown_keywords_are_found_however_they_are_written(value):
    file = {"PATIENT NAME": "Doe^Jane", "PATIENT ID": "00903867 x", "$OP": "Ada Lovelace", "TUBE NAME": "d14_INF052"}
    file["PATIENT NUMBER"] = "903867"
    after, changes = recoded(file | {"STATE": value})
    assert "STATE" not in after
    assert changes["STATE"].action == "removed"
    assert changes["STATE"].value == ""


def test_a_name_that_was_decoded_by_the_wrong_table_is_found():
    mangled = "thawed for Müller".encode().decode("latin-1")
    after, _ = recoded({"$OP": "Müller", "STATE": mangled, "OTHER": "thawed for Mueller"})
    assert after == {"OTHER": "thawed for Mueller"}
    wide = "Žižek".encode("utf-16-le").decode("latin-1")
    assert recoded({"$OP": "Žižek", "STATE": wide})[0] == {}


@pytest.mark.parametrize("value", ["sleep", "19038670", "janet", "CD45RA", "INF05", "window 7", "June"])
def test_other_words_and_numbers_are_not_taken_for_names(value):
    file = {"PATIENT NAME": "Lee Jane", "PATIENT ID": "903867", "$OP": "dow", "TUBE NAME": "INF052"}
    after, changes = recoded(file | {"STATE": value})
    assert after["STATE"] == value
    assert changes["STATE"].read


def test_a_month_is_not_taken_for_the_operator():
    after, _ = recoded({"$OP": "June May", "$DATE": "04-MAY-2018", "MADE": "04-JUN-2018 10:00"})
    assert after == {"$DATE": "18-DEC-2017", "MADE": "18-JAN-2018 10:00"}


def test_names_of_another_file_count_but_its_labels_do_not():
    other = Identifiers()
    other.gather({"PATIENT NAME": "Doe^Jane", "TUBE NAME": "viability check"})
    after, _ = recoded({"STATE": "for Jane", "NEXT": "viability check"}, shared=other.share())
    assert after == {"NEXT": "viability check"}


def test_what_the_counts_need_is_kept_and_shown_where_it_holds_a_name():
    after, changes = recoded({"$OP": "Ada Lovelace", "$CYT": "Ada's Canto", "$P1N": "FSC-A", "$TOT": "903867"})
    assert after == {"$CYT": "Ada's Canto", "$P1N": "FSC-A", "$TOT": "903867"}
    assert changes["$CYT"].read
    assert "$TOT" not in changes


def test_a_keyword_of_numbers_that_holds_text_is_treated_as_unknown():
    after, changes = recoded({"$OP": "Ada Lovelace", "$VOL": "for Ada", "$P1V": "by hand", "$TIMESTEP": "0.01"})
    assert after == {"$P1V": "by hand", "$TIMESTEP": "0.01"}
    assert changes["$VOL"].action == "removed"
    assert changes["$P1V"].read


def test_unknown_text_is_removed_on_request():
    file = {"STATE": "thawed", "SIZE": "12", "$SYS": "WIN7-LOVELACE", "$CYT": "Canto", "EXPIRES": "04-OCT-2018"}
    after, changes = recoded(file, remove_unknown=True)
    assert after == {"SIZE": "12", "$CYT": "Canto", "EXPIRES": "20-MAY-2018"}
    assert not [change for change in changes.values() if change.read]


def test_a_date_keyword_without_a_date_is_removed():
    after, changes = recoded(
        {"$DATE": "Tuesday", "EXPIRY DATE": "41.5", "SCAN DATE": "1550597056", "$BEGINDATETIME": ""}
    )
    assert after == {"SCAN DATE": str(1550597056 - 137 * 86400), "$BEGINDATETIME": ""}
    assert changes["$DATE"].why == changes["EXPIRY DATE"].why == "date that is not understood"


@pytest.mark.parametrize(
    ("keywords", "told"),
    [
        ({"PATIENT NAME": "Doe", "PATIENT ID": " 903867 ", "SAMPLE ID": "x17"}, ("903867", "PATIENT ID")),
        ({"SUBJECT": "A", "SAMPLE ID": "x17"}, ("A", "SUBJECT")),
        ({"PATIENT ID": " ", "SAMPLE ID": "x17", "$SRC": "blood"}, ("x17", "SAMPLE ID")),
        ({"SAMPLE ID": "Default Patient ID", "$SMNO": "1", "$SRC": "Specimen_001"}, None),
        ({"SAMPLE ID": "NA", "$SRC": "02276161"}, ("02276161", "$SRC")),
        ({}, None),
    ],
)
def test_by_what_a_file_tells_its_subject(keywords, told):
    assert subject_of(keywords) == told


NUMBERS = (
    "T12:57:54Z",
    *("100mW", "530/30", "1,2,3,4", "0.000000,0.000000", "Linear,0,26.3", "A12", "TRUE", "", "1.07e+09", "-14.2 µs"),
    *("10:15:00.25", "0.0,0.0", "488nm", "NOT SET", "2018-06-08T12:57:54+02:00"),
)


@pytest.mark.parametrize("value", NUMBERS)
def test_numbers_and_units(value):
    assert is_numbers(value)


@pytest.mark.parametrize("value", ["Jane", "100 mice", "nmol", "5 Jane", "A1234Z", "stone", "CD3"])
def test_no_numbers(value):
    assert not is_numbers(value)


def test_values_that_say_nothing():
    assert all(map(says_nothing, ("", "  ", "NA", "n/a", "FALSE", "xxxxxxx", "00000", "---", "Unknown")))
    assert not any(map(says_nothing, ("Noah", "A", "17", "Naomi", "Maxx")))
    assert all(map(is_stock, ("Specimen_001", "Default Patient Name", "Tube 12", "control")))
    assert not any(map(is_stock, ("Specimen_20181004", "001", "Patient Smith", "")))


def test_a_decimal_of_a_matrix_is_nobodys_number():
    assert "903867" not in without_decimals("2,FITC-A,PE-A,1,0.903867,1.0e-3,1")
    assert without_decimals("CD3 903867") == "CD3 903867"


@pytest.mark.parametrize("value", ["1" * 200_000 + "z", "e" * 200_000, "nm " * 60_000 + "!", "a1 " * 60_000 + "zz"])
def test_long_values_take_no_long_time(value):
    start = time.process_time()
    recoded({"$P1V": value, "STATE": value, "$OP": value})
    assert time.process_time() - start < 2
