"""Evidence in a real kernel: what its outputs hold, and labels that cells use twice."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from utils.notebook import cell_output
from utils.notebook.evidence import claim_evidence

ROOT = Path(__file__).resolve().parents[2]
SETUP = "from utils.notebook import check\noptions = dict(unit='nats', shared='data')"
CLAIM = """arms = {'a': [1.0, 1.1, 1.0], 'b': [2.0, 2.1, 2.2]}
check.claim('claim-x', arms, expected='lower', differs='cell', seeds=range(3), **options)"""
EQUATION = "check.equation('eq-x', loops=1.0, closed_form=1.0)"
AGAIN = f"try:\n    {CLAIM.splitlines()[1]}\nexcept ValueError as error:\n    print(error)"
FALSE = CLAIM.replace("lower", "higher").replace("claim-x", "claim-y")


@pytest.fixture(scope="module")
def executed():
    """The outputs of each cell of a notebook that a false claim stops, and the error."""
    sources = [SETUP, CLAIM, EQUATION, AGAIN, CLAIM, FALSE]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}
    )
    with pytest.raises(CellExecutionError) as stopped:
        client.execute()
    return [cell.outputs for cell in notebook.cells[1:]], str(stopped.value)


@pytest.mark.timeout(300)
def test_a_claim_and_an_equation_store_their_evidence(executed):
    (claims, equations, *_), _ = executed
    record = claims[0].metadata[cell_output.CLAIM_KEY]
    assert record["label"] == "claim-x"
    assert claim_evidence(record) in claims[0].data["text/plain"]
    sides = equations[0].metadata[cell_output.EQUATION_KEY]["sides"]
    assert sides == ["loops", "closed_form"] and "✓ eq-x" in equations[0].data["text/plain"]


@pytest.mark.timeout(300)
def test_another_cell_may_not_use_a_label_again_but_the_same_cell_may(executed):
    (claims, _, refused, repeated, _), _ = executed
    assert "another cell of this notebook has this label" in refused[0].text
    assert repeated[0].metadata == claims[0].metadata


@pytest.mark.timeout(300)
def test_a_claim_that_does_not_hold_stops_the_notebook(executed):
    _, error = executed
    assert re.search(r"claim-y: a − b = .* does not hold", error)
