"""Several data sets in a file, several names for a data set: every cell is counted once, or somebody is told."""

import json
import shutil

import pytest
from study_tubes import DAY21, check_counts, files_of, read_table, write_chain, write_tube

import nti7flow as nf
from nti7flow.counting.checks import judge_notes, sample_flags
from nti7flow.errors import ConfigError
from nti7flow.study.gate import gate_study
from nti7flow.study.plan import make_plan
from nti7flow.study.replay import replay


def some(*n_events):
    """Arguments for tubes with so many events each."""
    return [{"rows": slice(n)} for n in n_events]


def write_study(folder, rows, plain):
    (folder / "samples.csv").write_text("file,sample,data_set\n" + "".join(f"{row}\n" for row in rows))
    (folder / "study.yaml").write_text(
        f"schema: nti7flow/study/1\nstudy: sets\ntemplates: {{any: {plain}}}\nsheets: {{samples: samples.csv}}\n"
    )
    return folder / "study.yaml"


def gate(plan, out, **options):
    """Gate a plan; return the report, and all rows of counts and of quality by sample."""
    report = gate_study(plan, out, figures="none", **options)
    tables = []
    for name in ("counts", "quality"):
        rows = {}
        for row in read_table(report.step / f"{name}.csv"):
            rows.setdefault(row["sample"], []).append(row)
        tables.append(rows)
    check_counts(report.step)
    assert replay(nf.open_run(out)).identical
    return report, *tables


def test_each_data_set_found_is_a_sample_named_by_its_number(tmp_path, plain):
    write_chain(tmp_path / "plate.LMD", *some(3000, 2000, 1000))
    write_tube(tmp_path / "tube.fcs", rows=slice(500))
    for places in ([tmp_path], [tmp_path / "tube.fcs", tmp_path / "plate.LMD"]):
        plan = make_plan(places, template=plain)
        assert [(t.sample, t.file, t.data_set, t.data_sets) for t in plan.tubes] == [
            *((f"plate_set{number}", "plate.LMD", number, (0, 1, 2)) for number in range(3)),
            ("tube", "tube.fcs", 0, (0,)),
        ]
    report, counts, quality = gate(plan, tmp_path / "run", jobs=2)
    assert report.clean
    totals = {name: {row["n_total"] for row in rows} for name, rows in counts.items()}
    assert totals == {"plate_set0": {"3000"}, "plate_set1": {"2000"}, "plate_set2": {"1000"}, "tube": {"500"}}
    assert {row["flags"] for rows in counts.values() for row in rows} == {""}
    assert [row["check"][:21] for row in quality["plate_set0"]] == ["spillover_condition_n", "file_note: FCS030 mor"]
    step = json.loads((report.step / "step.json").read_text())
    assert step["inputs"] == [
        *({"sample": f"plate_set{n}", "path": "../plate.LMD", "data_set": n} for n in range(3)),
        {"sample": "tube", "path": "../tube.fcs", "data_set": 0},
    ]


def test_names_of_data_sets_that_would_be_those_of_other_files(tmp_path, plain):
    write_chain(tmp_path / "day0" / "a.lmd", *some(30, 20))
    write_chain(tmp_path / "day1" / "a.lmd", *some(30, 21))
    write_chain(tmp_path / "b.lmd", *some(30, 22))
    write_tube(tmp_path / "B_set0.fcs", rows=slice(23))
    assert [t.sample for t in make_plan([tmp_path], template=plain).tubes] == [
        *("B_set0.fcs", "b.lmd_set0", "b_set1"),
        *("day0_a.lmd_set0", "day0_a.lmd_set1", "day1_a.lmd_set0", "day1_a.lmd_set1"),
    ]
    write_chain(tmp_path / f"{'n' * 193}.lmd", *some(30, 24))
    make_plan([tmp_path / f"{'n' * 193}.lmd"], template=plain)  # 198 bytes with _set0
    write_chain(tmp_path / f"{'n' * 196}.lmd", *some(30, 24))
    with pytest.raises(ConfigError, match="a sample name of more than 200 bytes"):
        make_plan([tmp_path], template=plain)


def test_data_set_that_cannot_be_found_is_refused_and_not_lost(tmp_path, plain):
    content = write_chain(tmp_path / "tubes" / "whole.lmd", *some(3000, 2000, 1000)).read_bytes()
    second = content.index(b"FCS3.1", 10)
    third = content.index(b"FCS3.1", second + 10)
    for name, end in (("header", third + 3), ("text", third + 100), ("nothing", 30)):
        (tmp_path / "tubes" / f"{name}.lmd").write_bytes(content[:end])
    broken = bytearray(content)
    broken[second : second + 3] = b"???"
    (tmp_path / "tubes" / "loop.lmd").write_bytes(broken)
    report, counts, quality = gate(make_plan([tmp_path / "tubes"], template=plain), tmp_path / "run")
    whole = [f"whole_set{number}" for number in range(3)]
    before = ["header_set0", "header_set1", "text_set0", "text_set1"]
    assert set(counts) == {*before, *whole}
    lost = {refused.tube.sample: refused.error for refused in report.refused}
    assert sorted(lost) == ["header_set2", "loop", "nothing", "text_set2"]
    assert all(lost[name].startswith(f"{name.partition('_')[0]}.lmd: ") for name in lost), lost
    for name in lost:
        assert [row["check"] for row in quality[name]] == ["refused"]
    # How many more there were is not known.
    for name in before:
        assert {row["severity"] for row in counts[name]} == {"review"}
        assert all("file_FCS030" in row["flags"].split(";") for row in counts[name])


def test_data_sets_before_the_end_of_a_truncated_file_can_be_salvaged(tmp_path, plain):
    content = write_chain(tmp_path / "cut.lmd", *some(3000, 2000, 1000)).read_bytes()
    (tmp_path / "cut.lmd").write_bytes(content[: content.index(b"FCS3.1", content.index(b"FCS3.1", 10) + 10) - 1001])
    report, counts, _ = gate(make_plan([tmp_path], template=plain), tmp_path / "safe")
    assert (set(counts), [r.tube.sample for r in report.refused]) == ({"cut_set0"}, ["cut_set1"])
    report, counts, _ = gate(make_plan([tmp_path], template=plain, repair="salvage"), tmp_path / "salvage")
    assert (set(counts), report.refused) == ({"cut_set0", "cut_set1"}, ())
    assert {row["n_total"] for row in counts["cut_set0"]} == {"3000"}
    assert 1900 < int(counts["cut_set1"][0]["n_total"]) < 2000
    assert {row["severity"] for rows in counts.values() for row in rows} == {"review"}
    assert all("file_FCS049" in row["flags"].split(";") for row in counts["cut_set1"])


def test_other_data_sets_matter_only_while_they_are_not_gated(tmp_path):
    whole = write_chain(tmp_path / "three.lmd", *some(30, 20, 10))
    for number in range(3):
        sample = nf.read_fcs(whole, data_set=number)
        for data_sets in ((), (number,), (0, 1), (0, 2), (1, 2)):
            assert sample_flags(judge_notes(sample, data_sets=data_sets)) == {"file_FCS030": "review"}, data_sets
        assert sample_flags(judge_notes(sample, data_sets=(0, 1, 2))) == {}
        assert "FCS030" in {note.code for note in judge_notes(sample, data_sets=(0, 1, 2))}  # and still told


@pytest.mark.parametrize(("rows", "flagged"), [(["", "1"], False), (["1", "0"], False), (["0"], True), (["1"], True)])
def test_sheet_that_leaves_data_sets_out_has_its_samples_reviewed(tmp_path, plain, rows, flagged):
    write_chain(tmp_path / "two.lmd", *some(3000, 2000))
    plan = make_plan([write_study(tmp_path, [f"two.lmd,s{number},{number}" for number in rows], plain)])
    report, counts, quality = gate(plan, tmp_path / "run")
    assert report.clean is not flagged
    severity = "review" if flagged else ""
    assert {(row["flags"], row["severity"]) for name in counts for row in counts[name]} == {
        ("file_FCS030" if flagged else "", severity)
    }
    for name in counts:
        (note,) = [row for row in quality[name] if row["check"].startswith("file_note: FCS030 more data sets: ")]
        assert note["severity"] == ("review" if flagged else "info")


def test_same_bytes_under_two_names_are_for_review_whoever_is_gated_first(tmp_path, plain):
    tubes = tmp_path / "tubes"
    write_chain(tubes / "plate.lmd", *some(3000, 2000))
    shutil.copy(tubes / "plate.lmd", tubes / "copy;2.lmd")
    write_tube(tubes / "other.fcs", source=DAY21)
    plan = make_plan([tubes], template=plain)
    report, counts, quality = gate(plan, tmp_path / "run")
    assert not report.clean
    for name, other in (("plate_set0", "copy;2_set0"), ("plate_set1", "copy;2_set1")):
        for mine, theirs in ((name, other), (other, name)):
            flag = f"duplicate_of:{theirs.replace(';', '_')}"
            assert {(row["flags"], row["severity"]) for row in counts[mine]} == {(flag, "review")}
            assert [row["severity"] for row in quality[mine] if row["check"] == f"duplicate_of: {theirs}"] == ["review"]
    assert {(row["flags"], row["severity"]) for row in counts["other"]} == {("", "")}
    assert not [row for row in quality["other"] if "duplicate" in row["check"]]
    gate(plan, tmp_path / "run2", jobs=2)
    assert files_of(tmp_path / "run") == files_of(tmp_path / "run2")


def test_tubes_of_three_names_name_each_other_and_refused_ones_do_not_count(tmp_path, plain):
    for name in ("c", "a", "b"):
        write_tube(tmp_path / f"{name}.fcs", rows=slice(900))
        (tmp_path / f"x{name}.fcs").write_text("not a tube")
    _, counts, quality = gate(make_plan([tmp_path], template=plain), tmp_path / "run")
    assert {name: {row["flags"] for row in rows} for name, rows in counts.items()} == {
        "a": {"duplicate_of:b;duplicate_of:c"},
        "b": {"duplicate_of:a;duplicate_of:c"},
        "c": {"duplicate_of:a;duplicate_of:b"},
    }
    assert [row["check"] for row in quality["xa"]] == ["refused"]


def test_data_set_twice_in_a_sheet_is_a_mistake_however_its_file_is_spelt(tmp_path, plain):
    write_chain(tmp_path / "two.lmd", *some(30, 20))
    (tmp_path / "link.lmd").symlink_to(tmp_path / "two.lmd")
    rows = ["two.lmd,a,0", "./two.lmd,b,1", "link.lmd,c,0", f"../{tmp_path.name}/two.lmd,d,1"]
    with pytest.raises(ConfigError) as caught:
        make_plan([write_study(tmp_path, rows, plain)])
    _, first, second = str(caught.value).splitlines()
    assert "samples.csv:4 file: found 'link.lmd' with data set 0, the same file as 'two.lmd' in line 2" in first
    same = f"found '../{tmp_path.name}/two.lmd' with data set 1, the same file as './two.lmd' in line 3"
    assert f"samples.csv:5 file: {same}" in second


def test_replay_finds_the_data_sets_of_a_file_that_moved(tmp_path, plain):
    write_chain(tmp_path / "tubes" / "plate.lmd", *some(3000, 2000))
    gate(make_plan([tmp_path / "tubes"], template=plain), tmp_path / "run")
    (tmp_path / "vault").mkdir()
    (tmp_path / "tubes" / "plate.lmd").rename(tmp_path / "vault" / "p1.lmd")
    assert replay(nf.open_run(tmp_path / "run"), data=tmp_path / "vault").identical


def test_flags_of_a_tube_survive_the_loss_of_the_others(tmp_path, plain):
    """What a run said of a tube is stored with it: a copy that was deleted since changes nothing."""
    write_tube(tmp_path / "tubes" / "a.fcs")
    shutil.copy(tmp_path / "tubes" / "a.fcs", tmp_path / "tubes" / "b.fcs")
    gate(make_plan([tmp_path / "tubes"], template=plain), tmp_path / "run")
    (tmp_path / "tubes" / "b.fcs").unlink()
    report = replay(nf.open_run(tmp_path / "run"), data=tmp_path / "tubes")
    assert report.identical  # found by its content
    assert report.counts_csv == (tmp_path / "run" / "counts.csv").read_text()
