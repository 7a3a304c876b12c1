"""The checks themselves: what they pass, what they refuse, what they store."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from utils.notebook import check
from utils.notebook.check import RESULTS

INF, NAN = float("inf"), float("nan")


def test_equal_computations_pass_and_say_so(capsys):
    check.equation("eq-x", torch.tensor([1.0, 2.0]).double(), [1.0, 2.0])
    check.equation("eq-x", {"a": [1, (2.0, np.eye(2))]}, {"a": [1, (2.0, torch.eye(2).double())]})
    check.equation("eq-x", INF, INF)
    check.equation("eq-x", torch.ones(2, requires_grad=True), torch.ones(2, dtype=torch.bfloat16))
    lines = capsys.readouterr().out.splitlines()
    assert all("eq-x" in line for line in lines) and "6 numbers" in lines[1]


@pytest.mark.parametrize(
    "left, right",
    [
        (1.0, 1.1),
        (1.0, NAN),
        (NAN, 1.0),
        ([1.0, 2.0], [2.0, 1.0]),
        (torch.ones(2), torch.ones(2, 1)),
        (torch.ones(1), torch.ones(3)),
        ([1, 2], [1]),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, [1]),
        ([], []),
        (torch.empty(0), torch.empty(0)),
        (torch.tensor([INF, 1.5]), torch.tensor([INF, 1.0])),
        (INF, 1.0),
        (INF, -INF),
        ([0.0, NAN], [0.0, 0.0]),
        (np.array([1 + 1j]), np.array([1 + 5j])),
        (torch.tensor(1j), torch.tensor(2j)),
    ],
)
def test_anything_else_is_refused(left, right):
    with pytest.raises(AssertionError, match="eq-x"):
        check.equation("eq-x", left, right)


def test_tolerance_is_relative_to_the_largest_number():
    with pytest.raises(AssertionError):
        check.equation("eq-x", 1.0 + 1e-6, 1.0)
    check.equation("eq-x", 1.0 + 1e-6, 1.0, tolerance=1e-5)
    check.equation("eq-x", np.array([1e6 + 1e-5, 0.0]), np.array([1e6, 1e-5]))


@pytest.fixture
def displayed(monkeypatch):
    """What `results` displays."""
    calls = []
    monkeypatch.setattr("IPython.display.display", lambda *a, **k: calls.append((a, k)))
    return calls


def test_results_are_shown_and_stored_with_their_origin(displayed):
    values = check.results(
        ("tiny", "real"), seed=3, tolerances={"seconds": None}, loss=torch.tensor(1.5), seconds=2
    )
    assert values == {"loss": 1.5, "seconds": 2.0}
    ((content,), options) = displayed[0]
    stored = options["metadata"][RESULTS]
    assert stored["values"] == values and stored["origin"] == "real" and stored["seed"] == 3
    assert stored["tolerances"] == {"loss": 0.05, "seconds": None}
    assert "loss" in content["text/html"] and "1.5" in content["text/plain"]


def test_results_say_where_they_came_from(displayed):
    corpus = SimpleNamespace(name="tiny", origin="stand-in")
    check.results(corpus, device=torch.device("cpu"), loss=1234567)
    stored = displayed[0][1]["metadata"][RESULTS]
    assert (stored["corpus"], stored["origin"], stored["device"]) == ("tiny", "stand-in", "cpu")
    assert stored["torch"] == torch.__version__ and {"date", "python", "machine"} <= stored.keys()
    assert json.loads(json.dumps(stored)) == stored
    html = displayed[0][0][0]["text/html"]
    assert "1,234,567" in html and "tiny (stand-in), cpu, seed 0" in html


@pytest.mark.parametrize("wrong", [NAN, INF, "many", "1.5", None, [1, 2], torch.ones(2)])
def test_a_result_that_is_no_finite_number_is_refused(displayed, wrong):
    with pytest.raises(ValueError, match="loss"):
        check.results(("tiny", "real"), loss=wrong)
    assert not displayed


def test_tolerances_name_results(displayed):
    with pytest.raises(ValueError, match="lost"):
        check.results(("tiny", "real"), tolerances={"lost": 0.1}, loss=1.0)
    for tolerance in (-0.1, NAN, INF):
        with pytest.raises(ValueError, match="loss"):
            check.results(("tiny", "real"), tolerances={"loss": tolerance}, loss=1.0)
    with pytest.raises(ValueError, match="no results given"):
        check.results(("tiny", "real"))
    assert not displayed


def test_what_benchmarks_stored_is_read_and_a_missing_name_gets_those_there_are(capsys):
    part = check.stored("characters")["duel"]
    check.show_provenance(part)
    printed = capsys.readouterr().out
    assert part["provenance"]["commit"][:7] in printed and part["provenance"]["command"] in printed
    with pytest.raises(FileNotFoundError, match=r"no stored results 'figures'; .*characters"):
        check.stored("figures")
