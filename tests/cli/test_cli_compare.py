"""``nti7flow compare``."""

import csv

import pytest
from compared_runs import count_row, write_run

SAMPLES = [f"P1_day{i:02d}_tbnk" for i in range(12)]


def gated(factor=1.0, skip=()):
    values = [40 + 37 * i + (i * 7) % 5 for i in range(len(SAMPLES))]
    pairs = [(sample, round(factor * n)) for sample, n in zip(SAMPLES, values, strict=True) if sample not in skip]
    return [count_row(sample, "cd4_t", n) for sample, n in pairs]


@pytest.fixture
def runs(tmp_path):
    """Folders of two runs on the same tubes, of which one counts a tenth more."""
    return write_run(tmp_path / "old", gated()), write_run(tmp_path / "new", gated(1.1))


def test_two_runs(nti7flow, runs, tmp_path):
    old, new = runs
    outcome = nti7flow("compare", new, old, "--out", tmp_path / "out")
    assert (outcome.code, outcome.err) == (0, "")
    assert "A new, B old" in outcome.out
    assert "proportional difference" in outcome.out
    assert "+10." in outcome.out or "+9.9" in outcome.out
    with (tmp_path / "out" / "agreement.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["quantity"] for row in rows] == ["n_events", "percent_lymphocytes"]
    assert float(rows[0]["slope"]) == pytest.approx(1.1, abs=0.01)
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".csv", ".png"}
    assert len(list((tmp_path / "out").glob("*.png"))) == 3


def test_a_run_with_itself_differs_in_nothing(nti7flow, runs):
    outcome = nti7flow("compare", runs[0], runs[0], "--of", "n_events", "-p", "CD4", "--scale", "absolute")
    assert outcome.code == 0
    assert "none shown" in outcome.out
    assert "1.000 (1.000 to 1.000)" in outcome.out


def test_what_is_left_out_is_told_and_is_an_exit_code(nti7flow, runs, tmp_path):
    fewer = write_run(tmp_path / "fewer", gated(skip=SAMPLES[:6]))
    outcome = nti7flow("compare", fewer, runs[0], "--of", "n_events")
    assert outcome.code == 3
    assert "left out, only in B: 6 (P1_day00_tbnk cd4_t, P1_day01_tbnk cd4_t" in outcome.out
    assert "and 2 more)" in outcome.out
    assert "No line: found 6 pairs; expected at least 8" in outcome.out


def test_a_table(nti7flow, runs, tmp_path):
    table = tmp_path / "manual.csv"
    table.write_text("\n".join(["sample,population,value,unit", *(f"{s},CD4,{50 + 40 * i},events"
                                                                  for i, s in enumerate(SAMPLES))]))  # fmt: skip
    outcome = nti7flow("compare", runs[0], table)
    assert outcome.code == 0
    assert "B manual.csv" in outcome.out
    table.write_text("sample,population,value,unit\nP1_day00_tbnk,CD4,5,\nP1_day00_tbnk,CD5,5,events\n")
    outcome = nti7flow("compare", runs[0], table)
    assert outcome.code == 1
    assert outcome.err.splitlines()[0].endswith("2 problems")


def test_mistakes_are_said_before_the_work(nti7flow, runs, tmp_path):
    (tmp_path / "file").write_text("")
    assert "is no folder" in nti7flow("compare", *runs, "--out", tmp_path / "file").error()
    assert "no such run folder or table" in nti7flow("compare", runs[0], tmp_path / "nowhere.csv").error()
    assert "Did you mean 'CD4'?" in nti7flow("compare", *runs, "-p", "CD44").error()
    assert nti7flow("compare", *runs, "--level", "95").code == 2


def test_names_are_printed_as_they_are(nti7flow, tmp_path):
    rows = [row | {"label": "[red]x\x1b[31m"} for row in gated()]
    run = write_run(tmp_path / "run", rows)
    outcome = nti7flow("compare", run, run, "--of", "n_events")
    assert "[red]x\\x1b[31m, events" in outcome.out
    assert "\x1b" not in outcome.out
