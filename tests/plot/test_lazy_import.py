"""Importing the room costs nothing; drawing leaves pyplot alone."""

import subprocess
import sys

import pytest

from nti7flow import plot


def python(code):
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_importing_loads_neither_numpy_nor_matplotlib():
    loaded = python(
        "import sys, nti7flow.plot; dir(nti7flow.plot)\n"
        "print([name for name in ('numpy', 'matplotlib', 'scipy') if name in sys.modules])"
    )
    assert loaded == "[]"


def test_drawing_does_not_load_pyplot(tube):
    assert (
        python(
            "import sys, nti7flow as nf\n"
            f"nf.plot.density(nf.read_fcs({str(tube.sample.path)!r}), 'CD4', 'CD8')\n"
            "print('matplotlib.pyplot' in sys.modules)"
        )
        == "False"
    )


def test_public_names():
    assert dir(plot) == sorted(plot.__all__)
    assert {"Picture", "density", "gating_tree", "quality_page", "save_png", "budget"} <= set(dir(plot))
    assert all(callable(getattr(plot, name)) for name in dir(plot))
    with pytest.raises(AttributeError, match="no attribute 'scatter'"):
        plot.scatter  # noqa: B018
