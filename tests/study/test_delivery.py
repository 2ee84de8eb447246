"""``nf.check_delivery``: what can be read, what came twice, and which panels differ."""

import gzip
import os
import shutil
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from small_fcs import fcs
from study_tubes import DAY00, DAY21, read_table

import nti7flow as nf
from nti7flow.errors import ConfigError
from nti7flow.study.comparison import panel_difference
from nti7flow.study.delivered import acquisitions_of

NAMES, MARKERS = ("FSC-A", "SSC-A", "FITC-A", "PE-A"), ("", "", "CD3", "CD4")
GUID = "0d8e743a-05fe-4e8b-9ec4-25993c124ee2"
ACQUIRED = {"$CYT": "Canto", "$DATE": "03-JUN-2021", "$BTIM": "10:00:00", "$ETIM": "10:01:00"}


def events(seed, rows=20, columns=4):
    return np.random.default_rng(seed).normal(500, 100, (rows, columns))


def write(path, seed, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(fcs(how.pop("events", events(seed)), how.pop("names", NAMES), how.pop("markers", MARKERS), **how))
    return path


def statuses(delivery):
    return {tube.label: tube.status for tube in delivery.tubes}


def kinds(delivery):
    return [(found.kind, set(found.tubes)) for found in delivery.duplicates]


def test_tubes_in_order(tmp_path):
    shutil.copy(DAY00, tmp_path / "a.fcs")
    shutil.copy(DAY21, tmp_path / "b.FCS")
    delivery = nf.check_delivery(tmp_path)
    assert statuses(delivery) == {"a.fcs": "ok", "b.FCS": "ok"}
    assert delivery.refused == {}
    assert delivery.duplicates == ()
    (panel,) = delivery.panels
    assert panel.tubes == ("a.fcs", "b.FCS")
    sample = nf.read_fcs(DAY00)
    assert panel.channels == tuple((c.detector, c.marker) for c in sample.panel.channels)
    row = delivery.table.iloc[0]
    assert (row["n_events"], row["n_channels"], row["sha256"]) == (sample.n_events, 10, sample.sha256)
    assert (row["cytometer"], row["date"], row["version"]) == ("FACSCantoII", "16-FEB-2026", "FCS3.1")
    assert (row["panel"], row["panel_difference"], row["duplicates"], row["codes"]) == (1, "", "", "")
    assert delivery.summary == "2 files: 2 ok, 0 noted, 0 refused; 1 panel; 0 groups of duplicates"


def test_which_files_are_listed(tmp_path):
    write(tmp_path / "week 1" / "tube.001", 1)
    write(tmp_path / "week 1" / "no suffix", 2)
    write(tmp_path / "week 1" / "deep" / "er" / "TUBE.LMD", 3)
    write(tmp_path / ".hidden" / "tube.fcs", 4)
    write(tmp_path / "._tube.fcs", 5)
    (tmp_path / "notes.txt").write_text("FCS files are in week 1")
    (tmp_path / "empty").touch()
    (tmp_path / "packed.fcs.gz").write_bytes(gzip.compress(fcs(events(6), NAMES)))
    (tmp_path / "letter.fcs").write_text("Dear lab")
    (tmp_path / "nowhere.fcs").symlink_to(tmp_path / "gone")
    (tmp_path / "nowhere.txt").symlink_to(tmp_path / "gone")
    (tmp_path / "again.fcs").symlink_to(tmp_path / "week 1" / "tube.001")
    os.mkfifo(tmp_path / "pipe.fcs")
    os.mkfifo(tmp_path / "pipe")
    delivery = nf.check_delivery([tmp_path])
    assert statuses(delivery) == {
        "letter.fcs": "refused",
        "nowhere.fcs": "refused",
        "packed.fcs.gz": "refused",
        "pipe.fcs": "refused",
        "week 1/deep/er/TUBE.LMD": "ok",
        "week 1/no suffix": "ok",
        "week 1/tube.001": "ok",  # by the longest of its names, and once
    }
    codes = {tube.file: tube.codes for tube in delivery.tubes if tube.refused}
    assert codes == {
        "letter.fcs": ("FCS006",),
        "nowhere.fcs": ("FCS001",),
        "packed.fcs.gz": ("FCS005",),
        "pipe.fcs": ("FCS002",),
    }
    assert "gunzip" in delivery.refused["packed.fcs.gz"]
    assert "a link that leads nowhere" in delivery.refused["nowhere.fcs"]
    assert delivery.duplicates == ()
    assert all(str(tmp_path) not in reason for reason in delivery.refused.values())


def test_files_and_several_folders_go_by_the_paths_they_were_given_by(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a" / "tube.fcs", 1)
    write(tmp_path / "b" / "tube.fcs", 2)
    (tmp_path / "odd.txt").write_text("Dear lab")
    delivery = nf.check_delivery(["a", "b", "odd.txt", "a/tube.fcs"])
    assert statuses(delivery) == {"a/tube.fcs": "ok", "b/tube.fcs": "ok", "odd.txt": "refused"}
    assert statuses(nf.check_delivery("a/tube.fcs")) == {"a/tube.fcs": "ok"}


@pytest.mark.parametrize("paths", [[], ["nowhere"], ["empty"], ["tube.fcs", "empty"], ["tube.fcs", "nowhere.fcs"]])
def test_nothing_to_check(tmp_path, monkeypatch, paths):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "readme.txt").write_text("soon")
    write(tmp_path / "tube.fcs", 1)
    with pytest.raises(ConfigError, match=r"nothing to check|no such file|holds no FCS files"):
        nf.check_delivery(paths)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_refused_and_not_passed_over(tmp_path):
    write(tmp_path / "good.fcs", 1)
    write(tmp_path / "closed" / "tube.fcs", 2)
    write(tmp_path / "tube.001", 3).chmod(0)
    (tmp_path / "closed").chmod(0)
    delivery = nf.check_delivery(tmp_path)
    (tmp_path / "closed").chmod(0o700)
    assert statuses(delivery) == {"closed/": "refused", "good.fcs": "ok", "tube.001": "refused"}


def test_one_bad_file_or_name_never_stops_the_check(tmp_path):
    write(tmp_path / "good.fcs", 1)
    (tmp_path / "cut.fcs").write_bytes(DAY00.read_bytes()[:-20_000])
    (tmp_path / "empty.fcs").touch()
    write(tmp_path / "line\nbreak.fcs", 2)
    write(tmp_path / "tube.fcs", 3).rename(os.fsdecode(os.fsencode(tmp_path) + b"/latin \xe9.fcs"))
    delivery = nf.check_delivery(tmp_path)
    assert statuses(delivery) == {
        "cut.fcs": "refused",
        "empty.fcs": "refused",
        "good.fcs": "ok",
        "latin \\udce9.fcs": "refused",
        "line\nbreak.fcs": "refused",
    }
    assert "control character" in delivery.refused["line\nbreak.fcs"]
    assert "\n" not in delivery.to_csv().replace("\n", "", len(delivery.tubes) + 1)
    table = delivery.table.set_index("file")
    assert table.loc["cut.fcs", "n_events"] is pd.NA
    assert table.loc["cut.fcs", "severity"] == "invalid"
    assert table.loc["cut.fcs", "panel"] is pd.NA


def test_a_large_file_that_is_no_tube_costs_no_time(tmp_path):
    with (tmp_path / "disk image.fcs").open("wb") as stream:
        stream.truncate(1 << 38)
    (tube,) = nf.check_delivery(tmp_path).tubes
    assert tube.codes == ("FCS006",)
    assert tube.sha256 == ""


def test_repair_is_passed_on(tmp_path):
    (tmp_path / "cut.fcs").write_bytes(DAY00.read_bytes()[:-20_000])
    write(tmp_path / "odd.fcs", 1, keywords={"$TIMESTEP": "1", "$P1E": "4,1"})
    assert statuses(nf.check_delivery(tmp_path)) == {"cut.fcs": "refused", "odd.fcs": "noted"}
    assert statuses(nf.check_delivery(tmp_path, repair="none")) == {"cut.fcs": "refused", "odd.fcs": "refused"}
    salvaged = nf.check_delivery(tmp_path, repair="salvage")
    assert statuses(salvaged) == {"cut.fcs": "noted", "odd.fcs": "noted"}
    assert list(salvaged.table["severity"]) == ["review", "info"]
    assert "[FCS070]" in salvaged.table["details"][1]


def test_every_data_set_has_its_line_and_its_own_fate(tmp_path):
    good, bad = fcs(events(1), NAMES, MARKERS, more=True), fcs(events(2), NAMES, keywords={"$MODE": "C"}, more=True)
    (tmp_path / "plate.lmd").write_bytes(good + bad + fcs(events(3), NAMES, MARKERS))
    delivery = nf.check_delivery(tmp_path)
    assert statuses(delivery) == {
        "plate.lmd (data set 0)": "noted",  # that there are more
        "plate.lmd (data set 1)": "refused",
        "plate.lmd (data set 2)": "noted",
    }
    assert list(delivery.table["data_set"]) == [0, 1, 2]
    assert delivery.summary.startswith("1 file, 3 data sets: ")
    assert set(delivery.refused) == {"plate.lmd (data set 1)"}


def test_data_sets_that_cannot_be_reached(tmp_path):
    first = fcs(events(1), NAMES, MARKERS, more=True)
    (tmp_path / "plate.lmd").write_bytes(first + b"not a data set" * 20)
    delivery = nf.check_delivery(tmp_path)
    assert delivery.refused
    assert {code for tube in delivery.tubes if tube.refused for code in tube.codes} == {"FCS031"}
    (tmp_path / "plate.lmd").write_bytes(first + fcs(events(2), NAMES, MARKERS)[:100])
    assert statuses(nf.check_delivery(tmp_path)) == {
        "plate.lmd (data set 0)": "noted",
        "plate.lmd (data set 1)": "refused",
    }


def test_copies(tmp_path):
    write(tmp_path / "a.fcs", 1)
    shutil.copy(tmp_path / "a.fcs", tmp_path / "b.fcs")
    write(tmp_path / "c.fcs", 2)
    for name in ("x.fcs", "y.fcs"):
        (tmp_path / name).write_text("the same letter")
    delivery = nf.check_delivery(tmp_path)
    assert kinds(delivery) == [("copy", {"a.fcs", "b.fcs"}), ("copy", {"x.fcs", "y.fcs"})]
    told = delivery.table.set_index("file")["duplicates"].to_dict()
    assert told == {
        "a.fcs": "the same file as b.fcs",
        "b.fcs": "the same file as a.fcs",
        "c.fcs": "",
        "x.fcs": "the same file as y.fcs",
        "y.fcs": "the same file as x.fcs",
    }


def test_copies_of_a_file_with_several_data_sets_are_told_once(tmp_path):
    for name in ("a.lmd", "b.lmd"):
        (tmp_path / name).write_bytes(fcs(events(1), NAMES, MARKERS, more=True) + fcs(events(2), NAMES, MARKERS))
    assert kinds(nf.check_delivery(tmp_path)) == [("copy", {"a.lmd", "b.lmd"})]


def test_same_events_under_another_header(tmp_path):
    write(tmp_path / "a.fcs", 1, keywords=ACQUIRED)
    write(tmp_path / "b.fcs", 1, keywords={"$SRC": "patient 7"}, markers=("", "", "CD3", "CD8"))
    write(tmp_path / "c.fcs", 2)
    write(tmp_path / "none 1.fcs", 0, events=np.empty((0, 4)), keywords={"$SRC": "one"})
    write(tmp_path / "none 2.fcs", 0, events=np.empty((0, 4)), keywords={"$SRC": "two"})
    assert kinds(nf.check_delivery(tmp_path)) == [("events", {"a.fcs", "b.fcs"})]


def test_same_acquisition_with_other_events(tmp_path):
    write(tmp_path / "raw.fcs", 1, keywords=ACQUIRED)
    write(tmp_path / "compensated.fcs", 2, keywords=ACQUIRED)
    write(tmp_path / "other.fcs", 3, keywords=ACQUIRED | {"$DATE": "04-JUN-2021"})
    (found,) = nf.check_delivery(tmp_path).duplicates
    assert (found.kind, set(found.tubes)) == ("acquisition", {"raw.fcs", "compensated.fcs"})
    assert found.by == "canto, 03-jun-2021, 10:00:00, 10:01:00, 20 events"


def test_same_acquisition_by_its_identifier(tmp_path):
    write(tmp_path / "tube.fcs", 1, keywords={"GUID": GUID})
    write(tmp_path / "gated.fcs", 2, keywords={"ORIGINALGUID": f"{{{GUID.upper()}}}"}, events=events(2, rows=7))
    write(tmp_path / "named 1.fcs", 3, keywords={"GUID": "Donor1.fcs"})
    write(tmp_path / "named 2.fcs", 4, keywords={"GUID": "Donor1.fcs"})
    assert kinds(nf.check_delivery(tmp_path)) == [("acquisition", {"tube.fcs", "gated.fcs"})]


def test_each_pair_is_told_once_by_the_strongest_that_holds(tmp_path):
    write(tmp_path / "a.fcs", 1, keywords=ACQUIRED)
    shutil.copy(tmp_path / "a.fcs", tmp_path / "b.fcs")
    write(tmp_path / "c.fcs", 1, keywords=ACQUIRED | {"GUID": GUID})
    write(tmp_path / "d.fcs", 2, keywords={"GUID": GUID})
    assert kinds(nf.check_delivery(tmp_path)) == [
        ("copy", {"a.fcs", "b.fcs"}),
        ("events", {"a.fcs", "c.fcs"}),
        ("acquisition", {"a.fcs", "d.fcs"}),  # c says so, and a has its events
    ]


def test_data_sets_of_one_file_may_be_one_acquisition(tmp_path):
    first = fcs(events(1), NAMES, MARKERS, keywords=ACQUIRED, more=True)
    (tmp_path / "both.lmd").write_bytes(first + fcs(events(2), NAMES, MARKERS, keywords=ACQUIRED))
    assert nf.check_delivery(tmp_path).duplicates == ()
    write(tmp_path / "third.fcs", 3, keywords=ACQUIRED)
    assert kinds(nf.check_delivery(tmp_path)) == [
        ("acquisition", {"both.lmd (data set 0)", "both.lmd (data set 1)", "third.fcs"})
    ]


@pytest.mark.parametrize(
    ("keywords", "known"),
    [
        ({}, 0),
        (ACQUIRED | {"$TOT": "20"}, 1),
        (ACQUIRED | {"$TOT": " 0020 ", "$CYT": " CANTO "}, 1),
        (ACQUIRED | {"$TOT": "0"}, 0),
        (ACQUIRED | {"$TOT": "20", "$ETIM": "10:00:00"}, 0),  # a program without a clock
        (ACQUIRED | {"$TOT": "20", "$ETIM": ""}, 0),
        ({**ACQUIRED, "$TOT": "20", "$CYT": " "}, 0),
        ({**ACQUIRED, "$TOT": "20", "$CYT": "", "$CYTSN": "V07300123"}, 1),
        ({"GUID": GUID}, 1),
        ({"GUID": GUID, "FILE GUID": GUID.replace("-", "").upper()}, 1),
        ({"@FILEGUID": "F8309E2765DBBB48A8CB5ACF8AFDB432"}, 1),
        ({"GUID": "00000000-0000-0000-0000-000000000000"}, 0),
        ({"GUID": "0d8e743a"}, 0),
        ({"EXPERIMENT GUID": GUID}, 0),  # of many tubes
    ],
)
def test_what_an_acquisition_is_known_by(keywords, known):
    assert len(acquisitions_of(keywords)) == known


def test_blanks_case_and_leading_zeros_do_not_make_another_acquisition():
    plain, padded = (acquisitions_of(ACQUIRED | {"$TOT": text}) for text in ("20", " 0020"))
    assert plain == padded == acquisitions_of(ACQUIRED | {"$TOT": "20", "$DATE": "03-Jun-2021 "})


def test_panels_that_differ(tmp_path):
    for i in range(3):
        write(tmp_path / f"usual {i}.fcs", i)
    order = [2, 0, 3, 1]
    write(tmp_path / "order.fcs", 10, names=[NAMES[i] for i in order], markers=[MARKERS[i] for i in order])
    write(tmp_path / "without.fcs", 11, names=NAMES[:3], markers=MARKERS[:3], events=events(1, columns=3))
    write(tmp_path / "with.fcs", 12, names=(*NAMES, "APC-A"), markers=(*MARKERS, "CD8"), events=events(1, columns=5))
    write(tmp_path / "label.fcs", 13, markers=("", "", "CD3", "CD8"))
    (tmp_path / "broken.fcs").write_text("Dear lab")
    delivery = nf.check_delivery(tmp_path)
    differences = {panel.tubes: panel.difference for panel in delivery.panels}
    assert differences == {
        ("order.fcs", "usual 0.fcs", "usual 1.fcs", "usual 2.fcs"): "",
        ("label.fcs",): "panel 1 but PE-A is CD8, not CD4",
        ("with.fcs",): "panel 1 but added APC-A (CD8)",
        ("without.fcs",): "panel 1 but missing PE-A (CD4)",
    }
    assert [panel.number for panel in delivery.panels] == [1, 2, 3, 4]
    table = delivery.table.set_index("file")
    assert table.loc["label.fcs", "panel_difference"] == "panel 1 but PE-A is CD8, not CD4"
    assert table.loc["order.fcs", "panel"] == 1


def test_a_second_panel_is_one_of_its_own_and_what_differs_from_it_is_said_so(tmp_path):
    memory = ("FSC-A", "BV421-A", "BV510-A", "APC-A")
    stains = ("", "CD45RA", "CCR7", "CD95")
    for i in range(3):
        write(tmp_path / f"tbnk {i}.fcs", i)
    for i in range(2):
        write(tmp_path / f"memory {i}.fcs", 10 + i, names=memory, markers=stains)
    write(tmp_path / "odd.fcs", 20, names=memory, markers=("", "CD45RA", "CCR7", "CD27"))
    assert [panel.difference for panel in nf.check_delivery(tmp_path).panels] == [
        "",
        "another panel: FSC-A, BV421-A (CD45RA), BV510-A (CCR7), APC-A (CD95)",
        "panel 2 but APC-A is CD27, not CD95",
    ]


def test_long_differences_stay_short():
    usual = {f"FL{i}-A": f"CD{i}" for i in range(9)}
    assert panel_difference(usual, {}) == "missing FL0-A (CD0), FL1-A (CD1), FL2-A (CD2), FL3-A (CD3) and 5 more"
    assert panel_difference({"CD4": "CD4", "X": ""}, {"CD4": "", "X": "Y"}) == (
        "CD4 is unlabelled, not CD4, X is Y, not unlabelled"
    )


def test_any_number_of_workers_finds_the_same(tmp_path):
    write(tmp_path / "a.fcs", 1)
    shutil.copy(tmp_path / "a.fcs", tmp_path / "b.fcs")
    (tmp_path / "c.fcs").write_text("Dear lab")
    one, two = nf.check_delivery(tmp_path), nf.check_delivery(tmp_path, jobs=2)
    assert one.tubes == two.tubes
    assert one.to_csv() == two.to_csv()


def test_csv_is_the_table_in_text(tmp_path):
    write(tmp_path / "a.fcs", 1, keywords={"$CYT": "=cmd|' /C calc'!A0"})
    (tmp_path / "b.fcs").write_text("Dear lab")
    delivery = nf.check_delivery(tmp_path)
    (tmp_path / "check.csv").write_text(delivery.to_csv(), encoding="utf-8")
    rows = read_table(tmp_path / "check.csv")
    assert list(rows[0]) == list(delivery.table.columns)
    assert rows[0]["cytometer"] == "'=cmd|' /C calc'!A0"
    assert delivery.table["cytometer"][0] == "=cmd|' /C calc'!A0"
    assert (rows[0]["n_events"], rows[1]["n_events"], rows[1]["panel"]) == ("20", "", "")


def test_delivery_can_be_read_in_a_terminal_and_a_notebook(tmp_path):
    write(tmp_path / "<i>a.fcs", 1)
    shutil.copy(tmp_path / "<i>a.fcs", tmp_path / "b.fcs")
    (tmp_path / "c.fcs").write_text("Dear lab")
    write(tmp_path / "d.fcs", 2, markers=("", "", "CD3", "<b>"))
    delivery = nf.check_delivery(tmp_path)
    first, refused, panel, copies = repr(delivery).splitlines()
    assert first == f"<Delivery of {delivery.summary}>"
    assert refused.startswith("  refused c.fcs: [FCS006] not an FCS file")
    assert panel == "  panel 2 of d.fcs: panel 1 but PE-A is <b>, not CD4"
    assert copies == "  the same file: <i>a.fcs = b.fcs"
    html = delivery._repr_html_()
    assert html.count("<tr") == len(delivery.tubes) + 1
    assert "&lt;i&gt;a.fcs" in html
    assert "<i>" not in html
    assert "<b>," not in html


def test_memory_stays_small_whatever_the_file(tmp_path):
    rows = np.tile(events(1, rows=1000, columns=20), (500, 1)).astype(np.float32)
    path = write(tmp_path / "large.fcs", 1, events=rows, names=[f"FL{i}" for i in range(20)], markers=())
    assert path.stat().st_size > 38 << 20
    nf.check_delivery(tmp_path / "large.fcs")  # what is imported on the way
    del rows
    tracemalloc.start()
    delivery = nf.check_delivery(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert delivery.tubes[0].n_events == 500_000
    assert peak < 8 << 20
