"""Results: what is shown, stored, refused and read."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from utils.notebook.results import RESULTS_KEY, load_results, report_results, show_provenance

INF, NAN = float("inf"), float("nan")


@pytest.fixture
def displayed(monkeypatch):
    """What `report_results` displays."""
    calls = []
    monkeypatch.setattr("IPython.display.display", lambda *a, **k: calls.append((a, k)))
    return calls


def test_results_are_shown_and_stored_with_their_tolerances(displayed):
    values = report_results(
        ("tiny", "real"), seed=3, tolerances={"seconds": None}, loss=torch.tensor(1.5), seconds=2
    )
    assert values == {"loss": 1.5, "seconds": 2.0}
    ((content,), options) = displayed[0]
    stored = options["metadata"][RESULTS_KEY]
    assert stored["values"] == values and stored["origin"] == "real" and stored["seed"] == 3
    assert stored["tolerances"] == {"loss": 0.05, "seconds": None}
    assert "loss" in content["text/html"] and "1.5" in content["text/plain"]


def test_results_are_stored_with_their_origin(displayed):
    corpus = SimpleNamespace(name="tiny", origin="stand-in")
    report_results(corpus, device=torch.device("cpu"), loss=1234567)
    stored = displayed[0][1]["metadata"][RESULTS_KEY]
    assert (stored["corpus"], stored["origin"], stored["device"]) == ("tiny", "stand-in", "cpu")
    assert stored["torch"] == torch.__version__ and {"date", "python", "machine"} <= stored.keys()
    assert 0 < stored["processor_seconds"] < 1.1 * sum(os.times()[:4])
    assert json.loads(json.dumps(stored)) == stored
    html = displayed[0][0][0]["text/html"]
    assert "1,234,567" in html and "tiny (stand-in), cpu, seed 0" in html


@pytest.mark.parametrize(
    "wrong", [NAN, INF, "many", "1.5", b"1.5", True, 10**400, None, [1, 2], torch.ones(2)]
)
def test_a_result_that_is_not_a_finite_number_is_refused(displayed, wrong):
    with pytest.raises(ValueError, match="loss"):
        report_results(("tiny", "real"), loss=wrong)
    assert not displayed


def test_the_name_of_a_corpus_is_no_html(displayed):
    report_results(("<b>", "real"), loss=1.0)
    (((content,), _),) = displayed
    assert "&lt;b&gt;" in content["text/html"]


def test_tolerances_name_results(displayed):
    with pytest.raises(ValueError, match="lost"):
        report_results(("tiny", "real"), tolerances={"lost": 0.1}, loss=1.0)
    for tolerance in (-0.1, NAN, INF):
        with pytest.raises(ValueError, match="loss"):
            report_results(("tiny", "real"), tolerances={"loss": tolerance}, loss=1.0)
    with pytest.raises(ValueError, match="no results given"):
        report_results(("tiny", "real"))
    assert not displayed


def test_stored_results_are_read_and_a_missing_name_raises_with_the_available_ones(capsys):
    part = load_results("characters")["comparison"]
    show_provenance(part)
    printed = capsys.readouterr().out
    assert part["provenance"]["commit"][:7] in printed and part["provenance"]["command"] in printed
    with pytest.raises(FileNotFoundError, match=r"no stored results 'figures'; .*characters"):
        load_results("figures")


def test_the_key_of_results_does_not_need_torch():
    """The build of the site reads it from here, and needs no model."""
    code = "import sys, tools.book_facts; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)
