"""``nti7flow gate`` and ``count`` draw concentrations where they say, and only if they are asked to."""

import pytest
from counted_study import write_counted_study


@pytest.fixture
def study(tmp_path, plain):
    return write_counted_study(tmp_path / "lab", plain)


def pictures(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))


def test_both_commands_tell_where_the_pictures_are(nti7flow, study, tmp_path):
    run = tmp_path / "run"
    gated = nti7flow("gate", study, "-o", run, "--figures", "none")
    assert "Pictures" not in gated.out
    assert pictures(run) == []
    counted = nti7flow("count", run)
    folder = run / "figures" / "concentrations"
    assert f"Pictures        {folder} (4)\n" in counted.out
    assert pictures(folder) == ["S2.png", "S_1.png", "budget.png", "no_subject.png"]
    without = nti7flow("count", run, "--figures", "none")
    assert "Pictures" not in without.out
    assert pictures(run) == []
    gated = nti7flow("gate", study, "-o", run)
    assert f"Pictures  {run / 'figures'} (4)\n" in gated.out
    assert f"Pictures        {folder} (4)\n" in gated.out
    assert pictures(run / "figures") == sorted(
        ["a.png", "b.png", "c.png", "d.png", *(f"concentrations/{name}" for name in pictures(folder))]
    )


def test_pictures_do_not_depend_on_the_folder_or_the_workers(nti7flow, study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path / "lab")
    nti7flow("gate", "study.yaml", "-o", "../one", "--jobs", "2")
    monkeypatch.chdir("/")
    nti7flow("gate", study, "-o", tmp_path / "two")
    one, two = (tmp_path / name / "figures" / "concentrations" for name in ("one", "two"))
    assert pictures(one) == pictures(two) != []
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in pictures(one))
