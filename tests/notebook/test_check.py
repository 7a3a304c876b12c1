"""Checks of equations: what they pass and what they refuse."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from utils.notebook import check

ROOT = Path(__file__).resolve().parents[2]
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


UNEQUAL = """
import numpy as np, torch
from utils.notebook import check
pairs = [
    (np.zeros((2, 1)), np.zeros(2)),
    ({"a": 1.0}, {"b": 1.0}),
    ([1.0, 2.0], [1.0]),
    ([1.0], {"a": 1.0}),
    (1j, 1j),
    ([], []),
    (1.0, 2.0),
    (float("nan"), float("nan")),
]
for left, right in pairs:
    try:
        check.equation("eq-test", left, right)
    except AssertionError:
        continue
    print("accepted", left, right)
print("done")
"""


def test_what_differs_is_refused_when_python_ignores_assertions():
    command = [sys.executable, "-O", "-c", UNEQUAL]
    assert subprocess.check_output(command, cwd=ROOT, text=True) == "done\n"
