"""Two runs, or a run and other counts, compared: what is paired, what is left out, and what is told of it."""

import csv
from math import exp, log

import numpy as np
import pytest
from compared_runs import concentration, count_row, write_run
from openpyxl import Workbook

import nti7flow as nf
from nti7flow.counting.agreement import bland_altman, passing_bablok
from nti7flow.errors import ConfigError, StoreError

SAMPLES = [f"P{i}_day{j:02d}_tbnk" for i in range(1, 4) for j in range(4)]
RNG = np.random.default_rng(11)
LYMPHOCYTES = [int(n) for n in RNG.lognormal(6.5, 0.7, len(SAMPLES))]
CD4 = [int(0.4 * n * f) for n, f in zip(LYMPHOCYTES, RNG.uniform(0.5, 1.4, len(SAMPLES)), strict=True)]
#: The same by another method: 10 % more, and noise.
OTHER_CD4 = [round(1.1 * n * f) for n, f in zip(CD4, RNG.normal(1, 0.03, len(SAMPLES)), strict=True)]


def gated(lymphocytes=LYMPHOCYTES, cd4=CD4, **other):
    rows = []
    for sample, n, n_cd4 in zip(SAMPLES, lymphocytes, cd4, strict=True):
        rows += [count_row(sample, "lymphocytes", n, **other), count_row(sample, "cd4_t", n_cd4, **other)]
        rows += [count_row(sample, "monocytes", 7)]
    return rows


def counted(values=CD4, **other):
    rows = [concentration(s.removesuffix("_tbnk"), "cd4_t", v / 2) for s, v in zip(SAMPLES, values, strict=True)]
    return [row | other for row in rows]


def write_table(path, *rows, header="sample,population,value,unit"):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def run(tmp_path):
    """A run, as path."""
    return write_run(tmp_path / "run", gated())


def named(comparison):
    return {(one.quantity, one.population): one for one in comparison.agreements}


def left_out(comparison):
    return {(pair.key.name, pair.key.population): pair.left_out for pair in comparison.left_out}


def test_two_runs_by_their_counts(run, tmp_path):
    other = write_run(tmp_path / "other", gated(cd4=OTHER_CD4))
    comparison = nf.compare(other, run)
    found = named(comparison)
    assert list(found) == [("n_events", "lymphocytes"), ("n_events", "cd4_t"), ("percent_lymphocytes", "cd4_t")]
    cd4 = found["n_events", "cd4_t"]
    assert cd4.differences == bland_altman(CD4, OTHER_CD4, scale="log")
    assert cd4.line == passing_bablok(CD4, OTHER_CD4)
    assert cd4.label == "CD4 T (CD4+CD8−)"
    assert cd4.told(cd4.differences.bias).value == pytest.approx(10, abs=2)
    assert "proportional difference" in cd4.verdict
    assert found["n_events", "lymphocytes"].verdict == ("none shown",)  # all the same
    assert comparison.left_out == ()
    assert (comparison.a, comparison.b) == ("other", "run")
    assert [pair.key.name for pair in cd4.pairs] == sorted(SAMPLES)


def test_runs_may_be_open_and_populations_chosen_by_any_name(run):
    opened = nf.open_run(run)
    for name in ("cd4_t", "CD4", "cd4", "CD4 T (CD4+CD8−)"):
        comparison = nf.compare(opened, run, populations=[name], quantity="percent_parent")
        assert list(named(comparison)) == [("percent_parent", "cd4_t")]
    with pytest.raises(ConfigError, match=r"no population 'CD44'\. Did you mean 'CD4'\?"):
        nf.compare(run, run, populations=["CD44"])
    assert next(iter(named(nf.compare(run, run, populations=["Monocytes"])))) == ("n_events", "monocytes")


def test_a_label_of_several_populations_names_none(run, tmp_path):
    rows = [row | {"label": "Cells"} for row in gated()]
    a = write_run(tmp_path / "a", rows)
    with pytest.raises(
        ConfigError, match=r"no population 'Cells'\. It is the label of lymphocytes, cd4_t, monocytes\."
    ):
        nf.compare(a, run, populations=["Cells"])


def test_concentrations_are_compared_where_both_have_them(tmp_path):
    a = write_run(tmp_path / "a", gated(), [*counted(OTHER_CD4), concentration("P1_day00", "alc", 500.0)])
    b = write_run(tmp_path / "b", gated(), [*counted(), concentration("P1_day00", "alc", 500.0)])
    comparison = nf.compare(a, b)
    (cd4,) = comparison.agreements  # the haematology count beside them is no measurement of the run
    assert (cd4.quantity, cd4.population) == ("cells_per_ul", "cd4_t")
    assert cd4.pairs[0].key.name == "P1_day00"
    assert cd4.line == passing_bablok(np.array(CD4) / 2, np.array(OTHER_CD4) / 2)
    assert ("n_events", "cd4_t") in named(nf.compare(a, write_run(tmp_path / "c", gated())))
    with pytest.raises(ConfigError, match=r"c: holds no concentrations; nti7flow count .*c makes them"):
        nf.compare(a, tmp_path / "c", quantity="cells_per_ul")


def test_what_cannot_be_used_is_listed_with_its_reason(run, tmp_path):
    rows = gated()
    changes = {
        "P1_day00_tbnk": {"severity": "invalid"},
        "P1_day01_tbnk": {"n_events": None, "percent_lymphocytes": None, "severity": "invalid"},
        "P1_day02_tbnk": {"severity": "review"},
        "P1_day03_tbnk": {"n_events": 0, "percent_lymphocytes": 0.0},
        "P2_day00_tbnk": {"sha256": "another"},
    }
    for row in rows:
        row |= changes.get(row["sample"], {}) if row["population"] == "cd4_t" else {}
    rows = [row for row in rows if row["sample"] != "P3_day03_tbnk"] + [count_row("new", "cd4_t", 5)]
    a = write_run(tmp_path / "a", rows)
    comparison = nf.compare(a, run, quantity="n_events", populations=["CD4"])
    assert left_out(comparison) == {
        ("P1_day00_tbnk", "cd4_t"): "invalid in A",
        ("P1_day01_tbnk", "cd4_t"): "not counted in A",
        ("P1_day03_tbnk", "cd4_t"): "0: no relative difference",
        ("P2_day00_tbnk", "cd4_t"): "another tube of that name",
        ("P3_day03_tbnk", "cd4_t"): "only in B",
        ("new", "cd4_t"): "only in A",
    }
    (cd4,) = comparison.agreements
    assert len(cd4.pairs) == 13
    assert (cd4.differences.n, cd4.line.n) == (7, 8)  # the 0 has no ratio, and is on the line
    assert [pair.key.name for pair in cd4.used if pair.in_review] == ["P1_day02_tbnk"]
    assert (
        nf.compare(a, run, quantity="n_events", populations=["CD4"], scale="percent").agreements[0].differences.n == 8
    )
    # Two tubes of one name may be compared by percentages: two cytometers, one specimen.
    shares = nf.compare(a, run, quantity="percent_lymphocytes", populations=["CD4"])
    assert ("P2_day00_tbnk", "cd4_t") not in left_out(shares)


def test_percentages_of_different_parents_are_not_compared(run, tmp_path):
    rows = gated()
    for row in rows:
        row["parent"] = "lymphocytes" if row["population"] == "cd4_t" else row["parent"]
    a = write_run(tmp_path / "a", rows)
    (cd4,) = nf.compare(a, run, quantity="percent_parent", populations=["CD4"]).agreements
    assert {pair.left_out for pair in cd4.pairs} == {"% of lymphocytes in A, of t_cells in B"}
    assert (cd4.verdict, cd4.notes) == (("not compared",), ("No pair can be used.",))


def test_few_pairs_have_differences_and_no_line(tmp_path):
    rows = [count_row(f"P1_day0{i}_tbnk", "cd4_t", 10 * i + 50) for i in range(5)]
    a = write_run(tmp_path / "a", rows)
    more = [row | {"n_events": row["n_events"] + 20} for row in rows]
    (cd4,) = nf.compare(write_run(tmp_path / "b", more), a, quantity="n_events").agreements
    assert cd4.line is None
    assert cd4.notes == ("No line: found 5 pairs; expected at least 8; compare more specimens.",)
    assert cd4.verdict == ("bias",)
    ratio = exp(np.mean([log((10 * i + 70) / (10 * i + 50)) for i in range(5)]))
    assert cd4.told(cd4.differences.bias).value == pytest.approx(100 * (ratio - 1))


def test_a_table_of_counts(run, tmp_path):
    rows = [f"{name},CD4,{n},events" for name, n in zip(SAMPLES, OTHER_CD4, strict=True)]
    table = write_table(tmp_path / "manual.csv", *rows, "nobody,CD4,12,Events")
    comparison = nf.compare(run, table)
    (cd4,) = comparison.agreements
    assert cd4.line == passing_bablok(OTHER_CD4, CD4)
    assert left_out(comparison) == {("nobody", "cd4_t"): "only in B"}
    write_table(table, *(f"{name},CD4,{n / 10},% of parent" for name, n in zip(SAMPLES, CD4, strict=True)))
    assert named(nf.compare(run, table))["percent_parent", "cd4_t"].line.slope.value == 1


def test_a_table_by_specimen_finds_its_tube(run, tmp_path):
    rows = [f"{name.removesuffix('_tbnk')};cd4_t;{n},0;events" for name, n in zip(SAMPLES, CD4, strict=True)]
    table = write_table(tmp_path / "t.csv", *rows, header="Specimen;Population;Value;Unit")
    (cd4,) = nf.compare(run, table).agreements
    assert (cd4.line.n, cd4.pairs[0].key.name) == (12, "P1_day00_tbnk")
    twice = write_run(tmp_path / "twice", [*gated(), count_row("again", "cd4_t", 5, specimen="P1_day00")])
    with pytest.raises(
        ConfigError, match="'P1_day00', of which 2 tubes count cd4_t: P1_day00_tbnk, again; expected one"
    ):
        nf.compare(twice, table)


def test_units_of_concentration_in_a_workbook(tmp_path):
    run = write_run(tmp_path / "run", gated(), counted())
    book = Workbook()
    book.active.title = "notes"
    sheet = book.create_sheet("counts")
    sheet.append(["sample", "population", "value", "unit"])
    for name, n in zip(SAMPLES[:9], CD4, strict=False):
        sheet.append([name, "CD4", n / 2000, "10^9/L"])
    book.save(tmp_path / "manual.xlsx")
    comparison = nf.compare(run, tmp_path / "manual.xlsx")
    (cd4,) = comparison.agreements
    assert cd4.quantity == "cells_per_ul"
    assert all(pair.a == pytest.approx(pair.b) for pair in cd4.used)  # by the specimen of each tube
    assert set(left_out(comparison).values()) == {"only in A"}
    assert len(comparison.left_out) == 3


def test_a_percentage_that_a_spreadsheet_shows_is_refused(run, tmp_path):
    book = Workbook()
    sheet = book.active
    sheet.title = "mine"
    sheet.append(["sample", "population", "value", "unit"])
    sheet.append([SAMPLES[0], "CD4", 0.25, "% of lymphocytes"])
    sheet["C2"].number_format = "0 %"
    book.save(tmp_path / "manual.xlsx")
    with pytest.raises(
        ConfigError, match=r"found 0\.25, which the spreadsheet shows as 25 %; expected a number of percent"
    ):
        nf.compare(run, f"{tmp_path}/manual.xlsx#mine")


def test_concentrations_of_an_earlier_gating_are_refused(tmp_path):
    run = write_run(tmp_path / "run", gated(), counted())
    assert nf.compare(run, run).agreements[0].quantity == "cells_per_ul"
    write_run(tmp_path / "run", gated())
    with pytest.raises(
        ConfigError, match=r"its concentrations are of an earlier gating; nti7flow count .*run renews them"
    ):
        nf.compare(run, run)
    write_run(tmp_path / "run", gated(), counted())
    assert nf.compare(run, run).agreements[0].quantity == "cells_per_ul"


def test_all_problems_of_a_table_are_in_one_listing(run, tmp_path):
    table = write_table(
        tmp_path / "bad.csv",
        "P1_day00_tbnk,CD5,5,events",
        "P1_day00_tbnk,CD4,5,",
        "P1_day00_tbnk,CD4,5,%",
        ",CD4,x,cells/dL",
        "P1_day00_tbnk,CD4,5,events",
        "P1_day00_tbnk,cd4_t,6,Events",
        "P1_day01_tbnk,CD4,105,% of lymphocytes",
        "P1_day01_tbnk,,-1,furlongs",
    )
    with pytest.raises(ConfigError) as caught:
        nf.compare(run, table)
    heading, *lines = str(caught.value).splitlines()
    assert heading == f"{table}: 11 problems"
    for words in (
        "bad.csv:2 population: found 'CD5'; expected a population of the run; correct it. Did you mean",
        "bad.csv:3 unit: found no unit; expected cells/uL or another",
        "bad.csv:4 unit: found '%'; expected cells/uL",
        "bad.csv:5 specimen: found neither a specimen nor a sample",
        "bad.csv:5 value: found 'x'",
        "nothing is counted per decilitre",
        "bad.csv:7 population: found a second value of cd4_t in P1_day00_tbnk, which line 6 has too",
        "bad.csv:8 value: found 105 %; expected at most 100 %",
        "bad.csv:9 population: found an empty cell",
        "bad.csv:9 value: found '-1'",
        "bad.csv:9 unit: found 'furlongs'",
    ):
        assert sum(words in line for line in lines) == 1, words


def hematology(path, *rows):
    return write_table(path, *rows, header="subject,collected_at,analyte,value,unit")


def test_haematology_is_held_against_lymphocytes_of_the_same_draw(tmp_path):
    draws = [f"2026-03-{day:02d}T08:15:00-05:00" for day in range(1, 13)]
    rows = [concentration(f"P1_{i}", "lymphocytes", 100.0 + 10 * i, collected_at=at) for i, at in enumerate(draws)]
    rows[1]["collected_at"] = "2026-03-02"  # no time known
    rows[2]["method"] = "dual_platform"
    rows[3]["subject"] = "P2"
    run = write_run(tmp_path / "run", gated(), rows)
    sheet = [f"P1,2026-03-{day:02d}T15:15+02:00,ALC,{0.1 + 0.01 * (day - 1):.2f},10^9/L" for day in range(1, 13)]
    sheet[4] = "P1,2026-03-05,ALC,140,cells/uL"
    sheet[5] = "P1,2026-03-06T16:00-05:00,ALC,150,cells/uL"  # eight hours later
    comparison = nf.compare(run, hematology(tmp_path / "h.csv", *sheet, "P1,2026-03-01,WBC,5,10^9/L"))
    (found,) = comparison.agreements
    assert (found.quantity, found.population) == ("cells_per_ul", "lymphocytes")
    assert {pair.key.name for pair in found.used} == {f"P1_{i}" for i in (0, 1, 4, 6, 7, 8, 9, 10, 11)}
    assert all(pair.a == pytest.approx(pair.b) for pair in found.used)
    reasons = {name: why for (name, _), why in left_out(comparison).items()}
    assert reasons == {
        "P1_2": "the run counts against it in B",
        "P1_3": "only in A",
        "P1_5": "only in A",
        "P1 2026-03-04T15:15:00+02:00": "only in B",
        "P1 2026-03-06T16:00:00-05:00": "only in B",
    }


def test_a_day_with_two_draws_and_a_count_without_a_time(tmp_path):
    draws = [f"2026-03-{day:02d}T08:15:00-05:00" for day in range(1, 6)] + ["2026-03-05T19:00:00-05:00"]
    rows = [concentration(f"P1_{i}", "lymphocytes", 100.0 + 10 * i, collected_at=at) for i, at in enumerate(draws)]
    run = write_run(tmp_path / "run", gated(), rows)
    sheet = [f"P1,2026-03-{day:02d},ALC,{90 + 10 * day},cells/uL" for day in range(1, 6)]
    comparison = nf.compare(run, hematology(tmp_path / "h.csv", *sheet))
    assert left_out(comparison)["P1_4", "lymphocytes"] == "more than one draw that day in B"
    with pytest.raises(ConfigError, match=r"h\.csv: holds no ALC"):
        nf.compare(run, hematology(tmp_path / "h.csv", "P1,2026-03-01,WBC,5,10^9/L"))
    with pytest.raises(ConfigError, match="1 problem"):
        nf.compare(run, hematology(tmp_path / "h.csv", "P1,2026-03-01,ALC,5,g/L"))


def test_nothing_in_common_says_what_each_has(run, tmp_path):
    table = write_table(tmp_path / "t.csv", "a,CD4,5,events", "b,CD4,5,events")
    with pytest.raises(ConfigError) as caught:
        nf.compare(run, table)
    assert str(caught.value).endswith("run has P1_day00_tbnk, P1_day01_tbnk, P1_day02_tbnk and 9 more; t.csv has a, b.")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"quantity": "events"}, "quantity: found 'events'; expected cells_per_ul, n_events"),
        ({"scale": "logarithm"}, "scale: found 'logarithm'; expected absolute, percent, log"),
        ({"level": 95}, "level: found 95; expected a number between 0 and 1"),
        ({"quantity": "percent_parent"}, r"t\.csv: holds nothing in % of parent; it holds events\."),
    ],
)
def test_arguments_are_checked_before_the_work(run, tmp_path, arguments, words):
    table = write_table(tmp_path / "t.csv", f"{SAMPLES[0]},CD4,5,events")
    with pytest.raises(ConfigError, match=words):
        nf.compare(run, table, **arguments)


def test_places_that_are_none(run, tmp_path):
    with pytest.raises(ConfigError, match=r"manual\.csv: no such run folder or table"):
        nf.compare(run, tmp_path / "manual.csv")
    with pytest.raises(StoreError, match="is not a run folder"):
        nf.compare(tmp_path, run)


def test_frames_and_files(run, tmp_path):
    other = write_run(tmp_path / "other", gated(cd4=OTHER_CD4))
    comparison = nf.compare(other, run, populations=["CD4"])
    table = comparison.table.set_index("quantity")
    assert table.loc["n_events", "n_pairs"] == 12
    assert table.loc["n_events", "unit"] == "% of B"
    assert table.loc["n_events", "slope"] == passing_bablok(CD4, OTHER_CD4).slope.value
    assert (table.loc["n_events", "lowest"], table.loc["n_events", "highest"]) == (min(CD4), max(CD4))
    pairs = comparison.pairs_table.set_index(["quantity", "name"])
    assert pairs.loc[("n_events", SAMPLES[0]), ["a", "b"]].tolist() == [OTHER_CD4[0], CD4[0]]
    written = comparison.write(tmp_path / "out" / "here")
    assert {path.name for path in written} == {"overview.png", "cd4_t_n_events.png", "cd4_t_percent_lymphocytes.png"}
    assert {path.name for path in (tmp_path / "out" / "here").iterdir()} == {
        *(path.name for path in written),
        "agreement.csv",
        "pairs.csv",
    }
    with (tmp_path / "out" / "here" / "pairs.csv").open(encoding="utf-8", newline="") as stream:
        pairs = list(csv.DictReader(stream))
    assert [(row["name"], float(row["a"]), float(row["b"])) for row in pairs if row["quantity"] == "n_events"] == [
        *zip(SAMPLES, OTHER_CD4, CD4, strict=True)
    ]
    first = {path.name: path.read_bytes() for path in (tmp_path / "out" / "here").iterdir()}
    nf.compare(other, run, populations=["CD4"]).write(tmp_path / "again")
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == first
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        comparison.write(tmp_path / "file")


def test_names_that_are_paths_or_formulas_do_no_harm(tmp_path):
    odd = ["Live/T+", "Live:T+", "=1+1", "Overview"]
    rows = [
        count_row(sample, "cd4_t", n + k) | {"population": name, "label": name}
        for k, name in enumerate(odd)
        for sample, n in zip(SAMPLES, CD4, strict=True)
    ]
    a, b = write_run(tmp_path / "x" / "run", rows), write_run(tmp_path / "y" / "run", rows)
    comparison = nf.compare(a, b, quantity="n_events")
    assert (comparison.a, comparison.b) == (str(a), str(b))  # of one name
    written = comparison.write(tmp_path / "out")
    assert sorted(path.name for path in written) == [
        *("1+1.png", "Live_T+_1.png", "Live_T+_2.png", "Overview_4.png", "overview.png"),
    ]
    assert "\nn_events,'=1+1," in (tmp_path / "out" / "agreement.csv").read_text(encoding="utf-8")
