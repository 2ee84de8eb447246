"""Templates: every mistake gets one line that says where, what was found and what was probably meant."""

from pathlib import Path

import pytest
from toys import toy_template, write_template

from nti7flow.errors import ConfigError
from nti7flow.gating.template import (
    dependencies,
    library_folder,
    load_template,
    pooled_scope,
    released_templates,
    template_path,
)

GOOD = """\
schema: nti7flow/template/1
name: toy
version: 1.0.0
title: Toy
scales:
  CD4: {kind: logicle}
populations:
  - id: t_cells
    label: T cells
    gate: {method: density_valley@1, dims: [CD3], on_failure: fail}
  - id: cd4_t
    label: CD4 T
    parent: t_cells
    gate: {range: {CD4: [100, null]}}
"""

#: What is wrong, what is written instead of what, on which line it is found, and what the message must say.
MISTAKES = [
    ("typo in a key", "label: T cells", "lable: T cells", 9, "no such key. Did you mean 'label'?"),
    ("typo in a top key", "title:", "titel:", 4, "titel: no such key. Did you mean 'title'?"),
    ("typo in a gate", "dims: [CD3]", "dim: [CD3]", 10, "gate.dim: no such key. Did you mean 'dims'?"),
    ("typo in the kind", "{method:", "{metod:", 10, "found metod, dims, on_failure. Did you mean 'method'?"),
    ("key missing", "    label: CD4 T\n", "", 11, "populations.1.label: is missing."),
    ("unknown method", "density_valley@1", "density_vally@1", 10, "Did you mean 'density_valley@1'?"),
    (
        "method without version",
        "density_valley@1",
        "density_valley",
        10,
        "must say its version, as in 'density_valley@1'",
    ),
    ("version that is not", "density_valley@1", "density_valley@7", 10, "unknown method 'density_valley@7'"),
    ("unknown parent", "parent: t_cells", "parent: t_cell", 13, "no population 't_cell'. Did you mean 't_cells'?"),
    ("unknown operand", "{range: {CD4: [100, null]}}", "{all_of: [not t_cel]}", 14, "no population 't_cel'. Did you"),
    (
        "unknown twin",
        "{range: {CD4: [100, null]}}",
        "{same_as: cd8_t}",
        14,
        "no population 'cd8_t'. Did you mean 'cd4_t'?",
    ),
    ("unknown fit_on", "dims: [CD3]", "dims: [CD3], fit_on: singlet", 10, "no population 'singlet'."),
    ("circular parents", "label: T cells", "label: T cells\n    parent: cd4_t", 8, "each other: t_cells, cd4_t."),
    ("its own parent", "label: T cells", "label: T cells\n    parent: t_cells", 8, "depend on each other: t_cells."),
    ("duplicate id", "id: cd4_t", "id: t_cells", 11, "population t_cells: the id stands twice; ids must differ."),
    ("id in capitals", "id: cd4_t", "id: CD4_T", 11, "'^[a-z][a-z0-9_]*$'; found 'CD4_T'."),
    ("id of all events", "id: cd4_t", "id: root", 11, "'root' means all events and cannot be an id."),
    ("bounds the wrong way", "[100, null]", "[100, 50]", 14, "CD4: lower bound 100 is not below upper bound 50."),
    ("equal bounds", "[100, null]", "[100, 100]", 14, "CD4: lower bound 100 is not below upper bound 100."),
    ("bound not a number", "[100, null]", "[.nan, 50]", 14, "range.CD4.0: Input should be a finite number; found nan."),
    ("bound infinite", "[100, null]", "[100, .inf]", 14, "should be a finite number; found inf."),
    ("three bounds", "[100, null]", "[1, 2, 3]", 14, "at most 2 items"),
    ("bound in words", "[100, null]", "[high, null]", 14, "found 'high'."),
    (
        "range of two",
        "{CD4: [100, null]}",
        "{CD4: [1, 2], CD8: [1, 2]}",
        14,
        "exactly one marker; use rectangle for more.",
    ),
    (
        "rectangle of none",
        "range: {CD4: [100, null]}",
        "rectangle: {}",
        14,
        "a rectangle gate needs at least one marker.",
    ),
    ("two fixed kinds", "[100, null]}", "[1, 2]}, rectangle: {CD8: [1, 2]}", 14, "found range, rectangle."),
    ("two kinds", "[100, null]}", "[1, 2]}, same_as: t_cells", 14, "a gate is one of method, same_as, all_of"),
    ("gate not a mapping", "{range: {CD4: [100, null]}}", "CD4+", 14, "a gate is a mapping, found 'CD4+'."),
    ("no gate", "    gate: {range: {CD4: [100, null]}}\n", "", 11, "populations.1.gate: is missing."),
    (
        "two vertices",
        "range: {CD4: [100, null]}",
        "polygon: {dims: [A, B], vertices: [[1, 2], [3, 4]]}",
        14,
        "at least 3",
    ),
    (
        "operand in words",
        "{range: {CD4: [100, null]}}",
        "{all_of: [no t_cells]}",
        14,
        "'no t_cells' is neither a population",
    ),
    (
        "both and and or",
        "{range: {CD4: [100, null]}}",
        "{all_of: [t_cells], any_of: [t_cells]}",
        14,
        "all_of or any_of.",
    ),
    (
        "unknown parameter",
        "dims: [CD3]",
        "dims: [CD3], params: {keeep: above}",
        10,
        "no such key. Did you mean 'keep'?",
    ),
    (
        "parameter out of range",
        "dims: [CD3]",
        "dims: [CD3], params: {keep: aboev}",
        10,
        "'above' or 'below'; found 'aboev'.",
    ),
    (
        "window the wrong way",
        "dims: [CD3]",
        "dims: [CD3], params: {window: [9, 1]}",
        10,
        "lower end 9 is not below upper end 1.",
    ),
    ("parameter missing", "density_valley@1", "quantile@1", 10, "params of quantile@1: q: is missing."),
    ("dims too many", "dims: [CD3]", "dims: [CD3, SSC]", 10, "works on 1 dimension(s), found 2: CD3, SSC."),
    ("or_dims too many", "dims: [CD3]", "dims: [CD3], or_dims: [[CD3, SSC]]", 10, "works on 1 dimension(s), found 2"),
    (
        "or_dims pooled",
        "dims: [CD3]",
        "dims: [CD3], or_dims: [[CD2]], scope: study",
        10,
        "would pool different channels",
    ),
    (
        "scope in other words",
        "dims: [CD3]",
        "dims: [CD3], scope: batches",
        10,
        "'sample', 'batch' or 'study'; found 'batches'.",
    ),
    ("tolerance too large", "dims: [CD3]", "dims: [CD3], tolerance: 5", 10, "less than 0.5; found 5"),
    ("on_failure in words", "on_failure: fail", "on_failure: absnt", 10, "found 'absnt'. Did you mean 'absent'?"),
    ("typo in a fallback", "on_failure: fail", "on_failure: {method: tail@1, dim: [CD3]}", 10, "Did you mean 'dims'?"),
    ("fallback unknown", "on_failure: fail", "on_failure: {method: tial@1, dims: [CD3]}", 10, "Did you mean 'tail@1'?"),
    (
        "fallback pooled",
        "on_failure: fail",
        "on_failure: {method: tail@1, dims: [CD3], scope: batch}",
        10,
        "a fallback is fitted",
    ),
    ("fixed fallback", "on_failure: fail", "on_failure: {range: {CD3: [5, 1]}}", 10, "lower bound 5 is not below"),
    ("unknown scale", "kind: logicle", "kind: logical", 6, "scales.CD4.kind: Input should be 'logicle', 'linear', "),
    ("scale without top", "kind: logicle", "top: 0", 6, "logicle transform needs t > 0"),
    ("scale too wide", "kind: logicle", "width: 3", 6, "0 <= w <= m/2"),
    ("wrong schema", "template/1", "template/2", 1, "should be 'nti7flow/template/1'; found 'nti7flow/template/2'."),
    ("no schema", "schema: nti7flow/template/1\n", "", 1, "schema: is missing."),
    ("version not three numbers", "version: 1.0.0", "version: 1.0", 3, "valid string; found 1.0."),
    ("wrong type", "label: T cells", "label: [T, cells]", 9, "should be a valid string; found a list."),
    (
        "parent a number",
        "parent: t_cells",
        "parent: 5",
        13,
        "populations.1.parent: Input should be a valid string; found 5.",
    ),
    (
        "flag in words",
        "parent: t_cells",
        "optional: maybe",
        13,
        "valid boolean, unable to interpret input; found 'maybe'.",
    ),
    ("unclosed bracket", "dims: [CD3]", "dims: [CD3", 10, "not valid YAML: expected"),
    ("dim a number", "dims: [CD3]", "dims: [3]", 10, "dims.0: Input should be a valid string; found 3."),
    ("tab", "    label: T cells", "\tlabel: T cells", 9, "not valid YAML: found character '\\t'"),
    (
        "key twice",
        "    label: T cells",
        "    label: T cells\n    label: T",
        10,
        'not valid YAML: found duplicate key "label"',
    ),
]


@pytest.mark.parametrize(
    ("old", "new", "line", "message"), [mistake[1:] for mistake in MISTAKES], ids=[m[0] for m in MISTAKES]
)
def test_one_mistake_gives_one_line(tmp_path, old, new, line, message):
    assert GOOD.count(old) == 1
    path = tmp_path / "toy.yaml"
    path.write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_template(path)
    (told,) = str(error.value).splitlines()
    assert told.startswith(f"{path}:{line}: ")
    assert message in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: a mapping was expected, found NoneType."),
        ("- id: a\n", ":1: a mapping was expected, found CommentedSeq."),
        ("just words\n", ":1: a mapping was expected, found str."),
        ("a: [\n", ":2: not valid YAML: expected the node content, but found '<stream end>'."),
        ("a: \x00", ": cannot be read as YAML: unacceptable character #x0000: special characters are not allowed."),
        (b"title: \xe9".decode("latin-1"), ": cannot be read as YAML: 'utf-8' codec can't decode byte 0xe9"),
    ],
)
def test_what_is_not_a_mapping_is_refused(tmp_path, text, message):
    path = tmp_path / "toy.yaml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ConfigError) as error:
        load_template(path)
    (told,) = str(error.value).splitlines()
    assert told.startswith(f"{path}{message}")


def test_populations_must_be_a_list_with_something_in_it(tmp_path):
    head = GOOD[: GOOD.index("populations:")]
    for written, message in {
        "populations: []": "at least 1 item after validation, not 0; found a list.",
        "populations: {t_cells: {}}": "Input should be a valid tuple; found a mapping.",
        "populations: [t_cells]": "should be a valid dictionary or instance of PopulationSpec; found 't_cells'.",
        "populations: [{id: a, label: A, gate: {range: {CD3: [2, 1]}}}]": "lower bound 2 is not below upper bound 1.",
    }.items():
        path = tmp_path / "toy.yaml"
        path.write_text(head + written, encoding="utf-8")
        with pytest.raises(ConfigError) as error:
            load_template(path)
        (told,) = str(error.value).splitlines()
        assert told.startswith(f"{path}:7: populations")
        assert told.endswith(message)


def test_all_problems_stand_in_one_listing(tmp_path):
    text = GOOD
    for old, new in {
        "title:": "titel:",
        "label: T cells": "lable: T cells",
        "density_valley@1": "density_vally@1",
        "parent: t_cells": "parent: t_cell",
        "kind: logicle": "kind: logical",
    }.items():
        text = text.replace(old, new)
    path = tmp_path / "toy.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_template(path)
    lines = {int(told.removeprefix(f"{path}:").split(":")[0]) for told in str(error.value).splitlines()}
    assert len(str(error.value).splitlines()) == 5
    assert lines == {4, 6, 9, 10, 13}


def test_a_good_template_is_read(tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text(GOOD, encoding="utf-8-sig")  # with the mark that editors on Windows put in front
    template = load_template(path)
    assert template.reference == "toy@1.0.0"
    assert [p.id for p in template.populations] == ["t_cells", "cd4_t"]
    assert template.population("cd4_t").parent == "t_cells"
    assert template.source == str(path)
    assert "<GatingTemplate toy@1.0.0: Toy>" in repr(template)
    assert "t_cells                > cd4_t" in repr(template)
    with pytest.raises(KeyError):
        template.population("cd8_t")


def test_populations_stand_in_an_order_in_which_they_can_be_gated(tmp_path):
    template = toy_template(
        tmp_path,
        """
        - {id: neither, label: N, gate: {all_of: [not a, not b]}}
        - {id: twin, label: T, parent: a, gate: {same_as: b}}
        - {id: b, label: B, parent: a, gate: {method: tail@1, dims: [CD4], fit_on: c}}
        - id: c
          label: C
          gate: {method: tail@1, dims: [CD4], on_failure: {method: tail@1, dims: [CD8], fit_on: d}}
        - {id: a, label: A, gate: {range: {CD3: [1, 2]}}}
        - {id: d, label: D, gate: {any_of: [a]}}
        """,
    )
    order = [p.id for p in template.populations]
    assert sorted(order) == ["a", "b", "c", "d", "neither", "twin"]
    for population in template.populations:
        for name in dependencies(population):
            assert order.index(name) < order.index(population.id)
    assert list(dependencies(template.population("c"))) == ["d"]
    assert template.n_waves == 1
    assert all(pooled_scope(population) is None for population in template.populations)


def test_each_pooled_fit_adds_a_wave_to_what_rests_on_it(tmp_path):
    template = toy_template(
        tmp_path,
        """
        - {id: a, label: A, gate: {range: {CD3: [1, 2]}}}
        - {id: b, label: B, parent: a, gate: {method: tail@1, dims: [CD4], scope: batch}}
        - {id: c, label: C, parent: b, gate: {method: tail@1, dims: [CD8]}}
        - {id: d, label: D, parent: c, gate: {method: tail@1, dims: [CD8], scope: study}}
        - {id: e, label: E, gate: {all_of: [a, not d]}}
        - {id: f, label: F, parent: a, gate: {method: tail@1, dims: [CD8], scope: study}}
        """,
    )
    assert template.waves == {"a": 0, "b": 1, "c": 1, "d": 2, "e": 2, "f": 1}
    assert template.n_waves == 3
    assert [pooled_scope(p) for p in template.populations] == [None, "batch", None, "study", None, "study"]


def test_lists_the_markers_that_it_gates_and_draws_on(tmp_path):
    template = toy_template(
        tmp_path,
        """
        - id: a
          label: A
          plot: [CD3, SSC]
          gate:
            method: tail@1
            dims: [CD3]
            or_dims: [[CD2]]
            on_failure: {method: tail@1, dims: [CD5], on_failure: {rectangle: {CD6: [1, 2], CD7: [1, 2]}}}
        - {id: b, label: B, gate: {polygon: {dims: [CD8, CD9], vertices: [[0, 0], [1, 0], [1, 1]]}}}
        - {id: c, label: C, gate: {all_of: [not a]}}
        """,
    )
    assert template.markers == ("CD3", "CD2", "CD5", "CD6", "CD7", "SSC", "CD8", "CD9")


def test_the_recipe_hash_sees_numbers_and_no_layout(tmp_path):
    populations = "- {id: a, label: A, gate: {range: {CD3: [1, 2]}}}"
    reordered = "# a comment\n- gate: {range: {CD3: [1.0, 2.0]}}\n  label: A\n  id: a"
    moved = "- {id: a, label: A, gate: {range: {CD3: [1, 3]}}}"
    first, same, other = (toy_template(tmp_path, text).recipe_hash for text in (populations, reordered, moved))
    assert first == same != other


class TestReleased:
    def test_the_newest_version_goes_by_its_name(self):
        assert "tbnk@1.0.0" in released_templates()
        newest = [path for name, path in released_templates().items() if name.startswith("tbnk@")][-1]
        assert template_path("tbnk") == newest
        assert template_path("tbnk@1.0.0") == library_folder() / "tbnk" / "1.0.0.yaml"

    def test_every_one_is_what_its_path_says(self):
        assert released_templates()
        for reference in released_templates():
            assert load_template(reference).reference == reference

    def test_an_unknown_one_lists_what_is_known(self):
        for asked, hint in {"tbkn": "Did you mean 'tbnk'?", "tbnk@9.9.9": "Did you mean 'tbnk@2.0.0'?"}.items():
            with pytest.raises(ConfigError) as error:
                load_template(asked)
            assert str(error.value).startswith(f"no released template '{asked}'; there are ")
            assert str(error.value).endswith(hint)

    @pytest.mark.parametrize("asked", ["nowhere/toy.yaml", "toy.yaml", Path("tbnk")])
    def test_a_path_without_a_file(self, asked):
        with pytest.raises(ConfigError, match=r"no such template file. Released ones: .*tbnk@1\.0\.0"):
            load_template(asked)

    def test_versions_are_ordered_by_number(self, tmp_path, monkeypatch):
        for version in ("1.9.0", "1.10.0", "1.2.0"):
            (tmp_path / "toy").mkdir(exist_ok=True)
            write_template(
                tmp_path / "toy", "- {id: a, label: A, gate: {range: {CD3: [1, 2]}}}", name=f"{version}.yaml"
            )
        monkeypatch.setattr("nti7flow.gating.template.library_folder", lambda: tmp_path)
        assert list(released_templates()) == ["toy@1.2.0", "toy@1.9.0", "toy@1.10.0"]
        assert template_path("toy").stem == "1.10.0"
