"""Same recipe and same files: same bytes, whatever the workers, order, folder, locale or time zone."""

import itertools
import os

import pytest
from study_tubes import DAY00, DAY21, check_counts, files_of, read_table, write_refused, write_tube

ODD_ROWS, EVEN_ROWS = slice(1, None, 2), slice(0, None, 2)


def tables_of(run):
    """Everything of a run's only step but its provenance."""
    return {name: content for name, content in files_of(run / "steps" / "01-gate").items() if name != "step.json"}


def counts_of(run):
    return {(r["sample"], r["population"]): (r["n_events"], r["status"]) for r in read_table(run / "counts.csv")}


def test_workers_folder_locale_hash_seed_and_time_zone_change_no_byte(sample_runs):
    (one, told_one), (two, told_two) = sample_runs["one"], sample_runs["two"]
    assert told_one.code == told_two.code == 0
    assert told_two.err == ""
    assert files_of(one).keys() == files_of(two).keys()
    for name, content in files_of(one).items():
        assert content == files_of(two)[name], name
    assert any(name.endswith(".png") for name in files_of(one))


def test_order_of_the_files_and_their_timestamps_change_no_byte(nti7flow, tmp_path, plain):
    tubes = [
        write_tube(tmp_path / "tubes" / "b.fcs"),
        write_tube(tmp_path / "tubes" / "A.fcs", source=DAY21),
        write_tube(tmp_path / "tubes" / "c.fcs", rows=ODD_ROWS),
    ]
    runs = []
    for number, order in enumerate([*itertools.permutations(tubes), (tmp_path / "tubes",)]):
        os.utime(tubes[number % 3], (number, number))
        outcome = nti7flow("gate", *order, "-t", plain, "-o", tmp_path / f"run{number}", "--figures", "none")
        assert outcome.code == 0
        runs.append(files_of(tmp_path / f"run{number}"))
    assert all(run == runs[0] for run in runs)


@pytest.fixture(scope="module")
def batches(tmp_path_factory):
    """Four tubes of two batches: each sample tube in two halves."""
    folder = tmp_path_factory.mktemp("batches")
    for batch, source in (("march", DAY00), ("april", DAY21)):
        for name, rows in (("odd", ODD_ROWS), ("even", EVEN_ROWS)):
            write_tube(folder / f"{batch}_{name}.fcs", source=source, rows=rows)
    return folder


def write_study(batches, pooled, rows):
    """Write a sheet and return its study.yaml, both named after the number of sheets so far."""
    number = len(list(batches.glob("*.yaml")))
    (batches / f"samples{number}.csv").write_text("file,batch\n" + "".join(f"{file},{b}\n" for file, b in rows))
    study = batches / f"study{number}.yaml"
    study.write_text(
        "schema: nti7flow/study/1\nstudy: batches\n"
        f"templates: {{any: {pooled}}}\nsheets: {{samples: samples{number}.csv}}\n"
    )
    return study


ROWS = [(f"{batch}_{half}.fcs", batch) for batch in ("march", "april") for half in ("odd", "even")]


def test_pooled_fits_are_the_same_for_any_workers_and_order(nti7flow, tmp_path, batches, pooled):
    study = write_study(batches, pooled, ROWS)
    options = ("--figures", "none")
    assert nti7flow("gate", study, "-o", tmp_path / "one", *options).code == 0
    assert nti7flow("gate", study, "-o", tmp_path / "two", "--jobs", "2", *options).code == 0
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    assert check_counts(tmp_path / "one" / "steps" / "01-gate") == 20
    assert "reproduced: 20 counts of 4 samples" in nti7flow("replay", tmp_path / "one").out

    reversed_sheet = write_study(batches, pooled, ROWS[::-1])
    assert nti7flow("gate", reversed_sheet, "-o", tmp_path / "back", *options).code == 0
    assert tables_of(tmp_path / "back") == tables_of(tmp_path / "one")

    fits = {(f["sample"], f["population"]): f for f in read_table(tmp_path / "one/steps/01-gate/gate_fits.csv")}
    odd, even, other = ("march_odd", "march_even", "april_odd")
    assert fits[odd, "t_cells"]["scope"] == "batch"
    assert fits[odd, "t_cells"]["thresholds"] == fits[even, "t_cells"]["thresholds"]
    assert fits[odd, "t_cells"]["thresholds"] != fits[other, "t_cells"]["thresholds"]
    assert fits[odd, "cd4_positive"]["scope"] == "sample"
    assert fits[odd, "cd4_positive"]["thresholds"] != fits[even, "cd4_positive"]["thresholds"]
    assert fits[odd, "cd8_positive"]["scope"] == "study"
    assert fits[odd, "cd8_positive"]["thresholds"] == fits[other, "cd8_positive"]["thresholds"]
    pooled_events = sum(
        int(counts[0]) for (_, name), counts in counts_of(tmp_path / "one").items() if name == "t_cells"
    )
    assert fits[odd, "cd8_positive"]["n_fitted"] == str(pooled_events)


def test_refused_tubes_in_a_pooled_study_change_nothing_for_the_others(nti7flow, tmp_path, batches, pooled):
    kinds = ["ambiguous", "uncompensated", "singular", "empty", "text", "truncated"]
    for kind in kinds:
        write_refused(batches / f"{kind}.fcs", kind)
    no_cd4 = write_tube(batches / "no_cd4.fcs", markers={"PE-Cy7-A": ""})
    rows = [*ROWS, *((f"{kind}.fcs", "march") for kind in kinds), ("gone.fcs", "april")]
    without = write_study(batches, pooled, ROWS)
    among = write_study(batches, pooled, rows)
    assert nti7flow("gate", without, "-o", tmp_path / "without", "--figures", "none").code == 0
    outcome = nti7flow("gate", among, "-o", tmp_path / "among", "--figures", "none", "--jobs", "2")
    assert outcome.code == 3
    assert outcome.out.count("\nrefused ") == len(kinds) + 1
    assert counts_of(tmp_path / "among") == counts_of(tmp_path / "without")
    # Lost in the second wave, after it gave its CD3 to the first pool.
    late = write_study(batches, pooled, [*ROWS, (no_cd4.name, "march")])
    outcome = nti7flow("gate", late, "-o", tmp_path / "late", "--figures", "none")
    assert outcome.code == 3
    assert "refused no_cd4: population cd4_positive: no channel carries CD4" in outcome.out
    assert {sample for sample, _ in counts_of(tmp_path / "late")} == {file.removesuffix(".fcs") for file, _ in ROWS}
