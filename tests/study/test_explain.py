"""Explanations: every gate a population rests on, in words, from what is stored; nothing stored is left out."""

import json
from dataclasses import replace

import pytest
from study_tubes import DAY00

from nti7flow.errors import ConfigError
from nti7flow.gating.fit import N_REPLICATES, GateFit
from nti7flow.gating.template import load_template
from nti7flow.study.explain import (
    DIAGNOSTIC_WORDS,
    FLAG_WORDS,
    STATUS_WORDS,
    explain,
    flag_words,
    flagged_first,
    number,
)
from nti7flow.study.notebook import gate


@pytest.fixture(scope="module")
def result():
    return gate(DAY00, "tbnk@1.1.0")


@pytest.fixture(scope="module")
def template():
    return load_template("tbnk@1.1.0")


def story(explanation, population):
    (found,) = (gate for gate in explanation.gates if gate.population == population)
    return "\n".join([found.heading, *found.lines])


def with_fit(result, population, **changes):
    """The same result, of which one fit says something else."""
    return replace(
        result, fits=tuple(replace(fit, **changes) if fit.population == population else fit for fit in result.fits)
    )


def with_population(result, name, **changes):
    strategy = result.strategy
    populations = tuple(replace(p, **changes) if p.id == name else p for p in strategy.populations)
    return replace(result, strategy=replace(strategy, populations=populations))


class TestWhatItRestsOn:
    def test_from_all_events_down_with_what_booleans_combine(self, result):
        gates = [gate.population for gate in explain(result, "cd4_t").gates]
        assert gates == ["singlets", "lymphocytes", "t_cells", "cd4_positive", "cd8_positive", "cd4_t"]

    def test_a_combination_says_what_it_combines(self, result):
        assert "Combined: cd4_positive and not cd8_positive." in story(explain(result, "cd4_t"), "cd4_t")

    def test_what_a_combination_without_a_gate_would_combine_is_told_too(self, result, template):
        failed = with_population(result, "cd4_t", gate=None, status="failed", flags=("cd4_positive_failed",))
        explanation = explain(failed, "cd4_t", template=template)
        assert "cd4_positive" in [gate.population for gate in explanation.gates]
        assert "cd4_positive, which it combines, has the status failed" in story(explanation, "cd4_t")

    def test_unknown_population_is_asked_back(self, result):
        with pytest.raises(ConfigError, match=r"no population 'cd4' in tbnk@1\.1\.0\. Did you mean 'cd4_t'"):
            explain(result, "cd4")


class TestAFittedGate:
    def test_says_method_place_and_firmness(self, result):
        told = story(explain(result, "t_cells"), "t_cells")
        fit = next(fit for fit in result.fits if fit.population == "t_cells")
        bound = fit.thresholds["CD3"]
        assert "Method density_valley@1 on CD3: Threshold at the lowest density between two modes" in told
        assert f"Fitted on lymphocytes: {fit.n_fitted:,} events of this tube." in told
        assert f"CD3 at or above {bound['lower']:.4g} on the display scale, {bound['lower_scale']:,.4g}" in told
        assert f"moves by {fit.threshold_spread:.4g} display units" in told
        assert f"{N_REPLICATES} of {N_REPLICATES} replicates" in told
        assert "the valley floor has" in told
        assert "Parameters: all by default." in told

    def test_parameters_that_differ_are_told_beside_their_defaults(self, result):
        told = story(explain(result, "t_cells"), "lymphocytes")
        assert "lean 1 (default 0)" in told
        assert "alone yes (default no)" in told
        assert "anchor (0.95, 0.2)" in told
        assert "radius" not in told

    def test_another_population_that_it_was_fitted_on_is_named(self, result):
        told = story(explain(result, "nk_cells"), "nk_cells")
        assert "Fitted on lymphocytes: " in told
        assert "from non_t_non_b: " in told

    def test_diagnostics_nobody_has_words_for_are_told_by_their_names(self, result):
        more = {"borrowed_from": ["A", "B"], "weight_own": 0.25, "brand_new": {"x": 1.5}, "n_modes": 2}
        told = story(explain(with_fit(result, "t_cells", diagnostics=more), "t_cells"), "t_cells")
        assert "borrowed from (A, B)" in told
        assert "count for 25 % of the threshold" in told
        assert "brand_new: x 1.5" in told

    @pytest.mark.parametrize("value", [None, True, "text", [], [1, 2.5], {"a": None}, 1e300, float("nan"), -1])
    def test_any_value_can_be_told(self, result, value):
        more = dict.fromkeys([*DIAGNOSTIC_WORDS, "replicates_placed", "events_moved", "events_inside"], value)
        assert str(explain(with_fit(result, "t_cells", diagnostics=more), "t_cells"))

    def test_what_was_tried_before_is_told_with_its_reason(self, result, template):
        """By hand: the valley on CD4 failed, the tail of CD3− cells placed the gate."""
        fell = with_fit(
            result,
            "cd4_positive",
            method="tail",
            status="fell_back",
            diagnostics={"reason": "one mode at 0.71: no valley", "mode": 0.3},
        )
        fell = with_population(fell, "cd4_positive", status="fell_back", flags=("gate_fell_back",))
        told = story(explain(fell, "cd4_positive", template=template), "cd4_positive")
        assert "Method tail@1 on CD4" in told
        assert "Tried before: density_valley@1 on CD4: one mode at 0.71: no valley." in told
        assert "Fitted on non_t: " in told
        assert "distance 4" not in told  # that is the default
        assert "min_events 200 (default 20)" in told

    def test_a_parent_that_failed_was_no_try(self, result):
        fit = GateFit(
            "t_cells", "density_valley", 1, "sample", "failed", 0, {}, float("nan"), {"reason": "parent_failed"}
        )
        failed = replace(result, fits=tuple(fit if f.population == "t_cells" else f for f in result.fits))
        failed = with_population(failed, "t_cells", gate=None, status="failed", flags=("parent_failed",))
        told = story(explain(failed, "t_cells"), "t_cells")
        assert "Not tried: its parent has the status failed." in told
        assert "not the same as no cells" in told

    def test_a_method_of_a_later_version_is_told_as_far_as_it_is_known(self, result):
        told = story(explain(with_fit(result, "t_cells", method="oracle", version=7), "t_cells"), "t_cells")
        assert "Method oracle@7: this version of nti7flow does not know it." in told


class TestOfARun:
    def test_a_run_tells_the_same_as_the_result_it_is_from(self, sample_runs_folder):
        run, sample = sample_runs_folder
        told = explain(run, "cd4_t", sample=sample)
        assert str(told).splitlines()[2:] == str(explain(gate(DAY00, "tbnk"), "cd4_t")).splitlines()[2:]

    def test_a_run_of_several_samples_asks_which(self, sample_runs_folder):
        with pytest.raises(ConfigError, match="holds several samples; say which: "):
            explain(sample_runs_folder[0], "cd4_t")

    def test_another_template_of_a_released_name_is_not_taken_for_it(self, sample_runs_folder, monkeypatch):
        run, sample = sample_runs_folder
        other = load_template("tbnk@1.0.0")
        monkeypatch.setattr("nti7flow.study.explain.load_template", lambda reference: other)
        told = story(explain(run, "cd3_positive", sample=sample), "cd3_positive")
        assert "Parameters" not in told
        assert "Method density_valley@1: " in told


@pytest.fixture(scope="module")
def sample_runs_folder(tmp_path_factory):
    from study_tubes import DAY21

    from nti7flow.study.gate import gate_study
    from nti7flow.study.plan import make_plan

    folder = tmp_path_factory.mktemp("run") / "run"
    gate_study(make_plan([DAY00, DAY21], template="tbnk"), folder, figures="none")
    return folder, DAY00.stem


def test_every_status_has_words():
    from nti7flow.gating.strategy import STATUSES

    assert set(STATUSES) == set(STATUS_WORDS)


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("unstable_gate", FLAG_WORDS["unstable_gate"]),
        ("parent_absent", "its parent has the status absent"),
        ("NK_by_CD56_alone", "NK is read from CD56 alone, as the panel has no better channel"),
        ("brand_new_flag", "brand new flag"),
    ],
)
def test_flags_in_words(flag, words):
    assert flag_words(flag) == words


def test_numbers_as_people_read_them():
    assert [number(v) for v in (1234567, 12345.6, 0.123456, (0.5, None), True, {})] == [
        "1,234,567",
        "12,346",
        "0.1235",
        "(0.5, not known)",
        "yes",
        "",
    ]


def test_those_that_want_a_look_come_first():
    assert flagged_first({"b": "", "a": "", "c": "invalid", "d": "review"}) == ["c", "d", "a", "b"]


def test_an_explanation_prints_no_control_characters(result):
    assert "\x1b" not in str(explain(with_population(result, "t_cells", label="\x1b[2J"), "t_cells"))
    assert json.dumps(str(explain(result, "t_cells")))
