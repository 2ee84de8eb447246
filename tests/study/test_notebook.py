"""``nf.gate``: one tube in a notebook, by the very functions of the command line."""

import pickle

import numpy as np
import pandas as pd
import pytest
from study_tubes import DAY00, DAY21, REFUSED, write_chain, write_refused, write_tube

import nti7flow as nf
from nti7flow.errors import ConfigError, InputError, SpilloverError, UnknownMarker
from nti7flow.study.gate import gate_study
from nti7flow.study.plan import make_plan


@pytest.fixture(scope="module")
def result():
    return nf.gate(DAY00, "tbnk@1.0.0")


def test_result_counts_what_a_run_of_the_same_tube_counts(result, tmp_path):
    gate_study(make_plan([DAY00], template="tbnk@1.0.0"), tmp_path / "run", figures="none")
    run = nf.open_run(tmp_path / "run")
    columns = [name for name in result.table.columns if name in run.counts.columns]
    assert columns == list(result.table.columns)
    stored = run.counts[columns].astype(result.table.dtypes.to_dict())
    pd.testing.assert_frame_equal(result.table, stored)
    pd.testing.assert_frame_equal(result.gate_fits, run.gate_fits)
    assert result.strategy.to_dict() == run.strategy(DAY00.stem).to_dict()
    for count in result.counts:
        mine, theirs = result.membership(count.population), run.membership(DAY00.stem, count.population)
        assert np.array_equal(mine, theirs)
        assert mine.sum() == count.n_events


def test_result_can_be_read_in_a_terminal_and_a_notebook(result):
    lines = repr(result).splitlines()
    assert lines[0] == "<GatingResult of SIM-001_day00_tbnk by tbnk@1.0.0>"
    cd4 = next(count for count in result.counts if count.population == "cd4_t")
    assert f"  {'cd4_t':<16} {cd4.n_events:>9,} {cd4.percent_parent:>6.1f} %  ok" in lines
    html = result._repr_html_()
    assert "<b>SIM-001_day00_tbnk by tbnk@1.0.0</b>" in html
    assert html.count("<tr") == len(result.counts) + 1
    assert f"<td>{cd4.n_events}</td>" in html
    (picture,) = (nf.plot.gating_tree(result)._repr_png_(),)
    assert picture[:4] == b"\x89PNG"


def test_unknown_counts_are_missing_and_shown_as_such(tmp_path):
    tube = write_tube(tmp_path / "<i>no NK.fcs", markers={"PE-A": ""})
    result = nf.gate(tube, "tbnk")
    table = result.table.set_index("population")
    assert table.loc["nk_cells", "status"] == "not_in_panel"
    assert table.loc["nk_cells", "n_events"] is pd.NA
    assert table.loc["nk_cells", "percent_parent"] is pd.NA
    assert result.membership("nk_cells") is None
    html = result._repr_html_()
    assert "<td>–</td>" in html
    assert "<i>" not in html
    assert "nk_cells                 –           not_in_panel" in repr(result)


def test_tube_template_and_matrix_in_every_form(tmp_path, plain):
    template = nf.load_template(plain)
    tube = nf.read_fcs(DAY21)
    matrix = nf.Spillover.from_keyword(tube)
    header = ",".join(matrix.detectors)
    (tmp_path / "matrix.csv").write_text(
        "\n".join([header, *(",".join(map(repr, row)) for row in matrix.matrix.tolist())])
    )
    wanted = nf.gate(DAY21, plain).table
    for sample in (DAY21, str(DAY21), tube):
        for spillover in ("keyword", matrix, tmp_path / "matrix.csv", str(tmp_path / "matrix.csv")):
            pd.testing.assert_frame_equal(nf.gate(sample, template, spillover=spillover).table, wanted)
    assert not nf.gate(tube, template, spillover="none").table.equals(wanted)
    pd.testing.assert_frame_equal(
        nf.gate(tube, template, spillover=nf.Spillover.none()).table, nf.gate(tube, template, spillover="none").table
    )


def test_matrix_given_as_an_object_must_fit_the_tube(plain):
    """A detector the tube does not have is an error, and one it spells differently is compensated all the same."""
    with pytest.raises(SpilloverError, match="detector FTIC-A is not in the tube"):
        nf.gate(DAY00, plain, spillover=nf.Spillover(("FTIC-A", "PE-A"), np.eye(2), "mine"))


def test_markers_by_hand(tmp_path, plain):
    tube = nf.read_fcs(write_tube(tmp_path / "tube.fcs", extra={"BV421-A": "CD8"}))
    with pytest.raises(nf.Nti7flowError, match="CD8 could be any of 2 channels"):
        nf.gate(tube, plain)
    by_hand = nf.gate(tube, plain, markers={"CD8": "APC-Cy7-A"})
    pd.testing.assert_frame_equal(by_hand.table, nf.gate(DAY00, plain).table)
    assert tube.panel.candidates("CD8")[1].detector == "BV421-A"  # the tube itself is as it was


@pytest.mark.parametrize("kind", [*REFUSED, "text", "truncated"])
def test_what_the_command_line_refuses_is_an_error_here(tmp_path, kind):
    message = write_refused(tmp_path / "tube.fcs", kind)
    with pytest.raises(InputError) as caught:
        nf.gate(tmp_path / "tube.fcs", "tbnk")
    assert message in str(caught.value)


def test_salvaged_tube_is_for_review_in_everything_a_notebook_shows(tmp_path, plain):
    tube = tmp_path / "cut.fcs"
    tube.write_bytes(DAY00.read_bytes()[:-100_008])  # 2,500 events of 40 bytes, and the checksum
    with pytest.raises(InputError, match=r"11500 events .* 460,000 bytes; the data set has 361,054 bytes"):
        nf.gate(tube, plain)
    for sample in (tube, nf.read_fcs(tube, repair="salvage")):
        result = nf.gate(sample, plain, repair="salvage")
        assert {(count.flags, count.severity) for count in result.counts} == {(("file_FCS049",), "review")}
        assert set(result.table["flags"]) == {"file_FCS049"}
        assert set(result.table["severity"]) == {"review"}
        assert repr(result).splitlines()[1].startswith("  review: [FCS049] truncated file: found ")
        assert "<p>review: [FCS049] truncated file: found " in result._repr_html_()
    gate_study(make_plan([tube], template=plain, repair="salvage"), tmp_path / "run", figures="none")
    stored = nf.open_run(tmp_path / "run").counts
    columns = ["population", "n_events", "flags", "severity"]
    assert stored[columns].to_dict("records") == result.table[columns].to_dict("records")


def test_one_data_set_of_several_is_for_review_as_the_others_are_not_gated_with_it(tmp_path, plain):
    result = nf.gate(write_chain(tmp_path / "two.lmd", {"rows": slice(3000)}, {"rows": slice(2000)}), plain)
    assert {(count.n_total, count.flags, count.severity) for count in result.counts} == {
        (3000, ("file_FCS030",), "review")
    }
    assert "  review: [FCS030] more data sets: " in repr(result)


def test_other_mistakes(result, pooled, tmp_path):
    with pytest.raises(ConfigError, match=r"pooled@1\.0\.0 fits gates on several samples together"):
        nf.gate(DAY00, pooled)
    with pytest.raises(ConfigError, match="Did you mean 'tbnk'"):
        nf.gate(DAY00, "tbnkk")
    with pytest.raises(InputError, match="no such file"):
        nf.gate(tmp_path / "nowhere.fcs", "tbnk")
    with pytest.raises(UnknownMarker, match="no detector PE-Cy8-A"):
        nf.gate(DAY00, "tbnk", markers={"CD4": "PE-Cy8-A"})
    with pytest.raises(nf.Nti7flowError, match="Did you mean 'cd4_t'"):
        result.membership("cd4t")


def test_result_is_data_that_can_be_sent_to_another_process(result):
    again = pickle.loads(pickle.dumps(result))
    assert again.counts == result.counts
    assert np.array_equal(again.membership("cd4_t"), result.membership("cd4_t"))
