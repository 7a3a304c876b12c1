"""Evidence in a real kernel: what its outputs hold, and labels that cells use twice."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from utils.notebook import evidence

ROOT = Path(__file__).resolve().parents[2]
SETUP = "from utils.notebook import check, evidence\noptions = dict(unit='nats', shared='data')"
CLAIM = """arms = {'a': [1.0, 1.1, 1.0], 'b': [2.0, 2.1, 2.2]}
check.claim('claim-x', arms, expected='lower', differs='cell', seeds=range(3), **options)"""
EQUATION = "check.equation('eq-x', loops=1.0, closed_form=1.0)"


def execute(*sources):
    """The outputs of the cells of a notebook."""
    cells = [nbformat.v4.new_code_cell(source) for source in (SETUP, *sources)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    resources = {"metadata": {"path": str(ROOT)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    return [cell.outputs for cell in notebook.cells[1:]]


@pytest.mark.timeout(300)
def test_a_kernel_stores_evidence_and_tells_cells_apart():
    again = f"try:\n    {CLAIM.splitlines()[1]}\nexcept ValueError as error:\n    print(error)"
    claims, equations, refused = execute(CLAIM, EQUATION, again)
    record = claims[0].metadata[evidence.CLAIM_KEY]
    assert record["label"] == "claim-x" and record["line"] in claims[0].data["text/plain"]
    assert equations[0].metadata[evidence.EQUATION_KEY]["sides"] == ["loops", "closed_form"]
    assert "✓ eq-x" in equations[0].data["text/plain"]
    assert "another cell of this notebook has this label" in refused[0].text


@pytest.mark.timeout(300)
def test_a_cell_that_runs_again_keeps_its_label_and_a_failed_claim_stops_the_notebook():
    with pytest.raises(CellExecutionError, match=r"claim-y: a − b = .* does not hold"):
        execute(CLAIM, CLAIM, CLAIM.replace("lower", "higher").replace("claim-x", "claim-y"))
