"""``nti7flow gate --explain`` and ``nti7flow explain``."""

import pytest
from study_tubes import DAY00, DAY21, TUBES


def test_gating_explains_a_population_of_every_sample_before_the_counts(nti7flow, plain, tmp_path):
    done = nti7flow("gate", DAY00, DAY21, "--template", plain, "--out", tmp_path / "run", "--figures", "none",
                    "--explain", "cd8_t")  # fmt: skip
    assert done.out.count("CD8 T (cd8_t): ") == done.out.count("CD8 T (cd8_t), from t_cells: ") == 2
    assert "Written down, not fitted: CD8 at or above " in done.out
    assert done.out.index("Written down") < done.out.index("Counts ")


def test_a_population_no_template_has_is_refused_before_gating(nti7flow, plain, tmp_path):
    done = nti7flow("gate", DAY00, "--template", plain, "--out", tmp_path / "run", "--explain", "cd8")
    assert done.error() == "--explain cd8: no template has such a population. Did you mean 'cd8_t'?"
    assert not (tmp_path / "run").exists()


def test_a_finished_run_is_explained(nti7flow, sample_runs):
    folder, _ = sample_runs["one"]
    done = nti7flow("explain", folder, "cd4_t", "--sample", DAY21.stem)
    assert done.code == 0
    assert done.out.startswith(f"{DAY21.stem}: CD4 T (CD4+CD8−) (cd4_t): ")
    assert "Method density_valley@1 on CD4" in done.out
    assert DAY00.stem not in done.out


def test_several_populations_of_several_samples(nti7flow, sample_runs):
    folder, _ = sample_runs["one"]
    done = nti7flow("explain", folder, "t_cells", "b_cells")
    assert done.out.count("(b_cells): ") == done.out.count("(b_cells), from ") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cd4",), "no sample has a population 'cd4'. Did you mean 'cd4_t'?"),
        (("cd4_t", "--sample", "SIM-001"), "no sample 'SIM-001'."),
    ],
)
def test_names_that_are_not_there(nti7flow, sample_runs, arguments, message):
    folder, _ = sample_runs["one"]
    assert message in nti7flow("explain", folder, *arguments).error()


def test_where_there_are_many_samples_those_that_want_a_look_are_shown(nti7flow, plain, tmp_path):
    folder = tmp_path / "tubes"
    folder.mkdir()
    for number in range(7):
        (folder / f"tube{number}.fcs").write_bytes((TUBES / DAY00.name).read_bytes())
    nti7flow("gate", folder, "--template", plain, "--out", tmp_path / "run", "--figures", "none")
    done = nti7flow("explain", tmp_path / "run", "t_cells", "--template", plain)
    assert done.out.count("T cells (t_cells): ") == 5
    assert "2 more samples: nti7flow explain" in done.out
