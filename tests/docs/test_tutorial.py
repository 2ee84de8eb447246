"""The tutorial runs as it stands, and says what the package does."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "docs" / "tutorial"


def test_first_tube_runs_and_counts_what_is_there() -> None:
    notebook = nbformat.read(NOTEBOOKS / "first_tube.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()

    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    pictures = [o for o in outputs if "image/png" in o.get("data", {})]
    tables = [o["data"]["text/html"] for o in outputs if "text/html" in o.get("data", {})]
    assert len(pictures) == 2
    comparison = next(table for table in tables if "<th>truth</th>" in table)
    for row in comparison.split("<tr>")[2:]:
        truth, counted = (int(cell.split("</td>")[0]) for cell in row.split("<td>")[1:3])
        assert counted == pytest.approx(truth, rel=0.06, abs=10)


def test_notebook_is_committed_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOKS / "first_tube.ipynb", as_version=4)
    assert all(not cell.outputs and cell.execution_count is None for cell in notebook.cells if cell.cell_type == "code")
