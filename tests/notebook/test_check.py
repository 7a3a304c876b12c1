"""Checks of equations: what they pass and what they refuse."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from utils.notebook import cell_output, check
from utils.notebook.relative_error import compare, relative_scale

ROOT = Path(__file__).resolve().parents[2]
INF, NAN = float("inf"), float("nan")
SAME = np.ones(2)


def test_equal_computations_pass_and_say_so(capsys):
    for left, right in [
        ([1.0, 2.0], torch.tensor([1.0, 2.0]).double()),
        ({"a": [1, (2.0, np.eye(2))]}, {"a": [1, (2.0, torch.eye(2).double())]}),
        (INF, INF),
        (torch.ones(2, requires_grad=True), torch.ones(2, dtype=torch.bfloat16)),
    ]:
        check.equation("eq-x", by_hand=left, torch=right)
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
def test_sides_that_differ_are_refused(left, right):
    with pytest.raises(AssertionError, match="eq-x"):
        check.equation("eq-x", loops=left, utils=right)


@pytest.mark.parametrize(
    "left, right",
    [
        (1e-30, 1e-30),
        (0, torch.zeros(())),
        (INF, INF),
        ([INF, 1.0], [INF, 1.0 + 1e-12]),
        (torch.ones(2, requires_grad=True), torch.ones(2, dtype=torch.bfloat16)),
        ({"a": [1, (2.0, np.eye(2))]}, {"a": [1, (2.0, torch.eye(2).double())]}),
        (np.array([1e6 + 1e-5, 0.0]), np.array([1e6, 1e-5])),
    ],
)
def test_sides_that_agree_are_named(capsys, left, right):
    check.equation("eq-x", loops=left, torch=right)
    line = capsys.readouterr().out
    assert line.startswith("✓ eq-x: loops = torch, ") and "largest error" in line


@pytest.mark.parametrize("convert", [int, np.int64, np.uint64, lambda x: torch.tensor([x])])
def test_integers_are_compared_exactly(convert):
    """In double precision 2⁵³ + 1 is 2⁵³."""
    big, next_one = convert(2**53), convert(2**53 + 1)
    relative_error = compare("eq-x", [big], [next_one], relative_scale).error
    assert 0 < relative_error < 2e-16
    assert compare("eq-x", [next_one], [next_one], relative_scale).error == 0
    assert compare("eq-x", [-5, 0], [-4, 0], relative_scale).error == 0.2
    opposite = np.array([-(2**63)]), np.array([2**63], dtype=np.uint64)
    assert compare("eq-x", *opposite, relative_scale).error == 2.0
    assert compare("eq-x", np.int8(100), np.float32(100.5), relative_scale).error < 0.01


def test_the_error_is_relative_however_small_the_numbers_are(capsys):
    for size in (1e-30, 1e-12, 1.0, 1e12):
        check.equation("eq-x", by_hand=size * (1 + 1e-10), numpy=size)
        for left, right in ((1 + 2e-9, 1.0), (1.0, 1 + 2e-9)):
            with pytest.raises(AssertionError, match=r"by_hand and numpy differ by 2e-09 of their"):
                check.equation("eq-x", by_hand=size * left, numpy=size * right)
    with pytest.raises(AssertionError):  # each number of a list has its own size, unlike an array
        check.equation("eq-x", by_hand=[1.0, 1e-12], numpy=[1.0, 2e-12])
    check.equation("eq-x", by_hand=np.array([1.0, 1e-12]), numpy=np.array([1.0, 2e-12]))


def test_a_side_that_is_zero_needs_the_size_of_what_cancels():
    with pytest.raises(AssertionError, match="differ by 1 of their size; where one side is zero, "):
        check.equation("eq-x", autograd=1e-17, closed_form=0.0)
    check.equation("eq-x", autograd=1e-17, closed_form=0.0, floor=1.0)
    with pytest.raises(AssertionError, match="differ by 1e-05"):
        check.equation("eq-x", autograd=1e-5, closed_form=0.0, floor=1.0)
    check.equation("eq-x", autograd=np.zeros(3), closed_form=np.zeros(3))


@pytest.mark.parametrize(
    "sides, message",
    [
        ({}, "0 named sides; choose two of by_hand, loops, "),
        ({"loops": 1.0}, "1 named sides"),
        ({"loops": 1.0, "torch": 1.0, "utils": 1.0}, "3 named sides"),
        ({"left": 1.0, "torch": 1.0}, "no side is called left; choose two of by_hand"),
        ({"loops": 1.0, "torch": 1.0, "tolerence": 1.0}, "no side is called tolerence"),
        ({"loops": SAME, "torch": SAME}, "both sides are the same object"),
        ({"loops": 1.0, "torch": 1.0, "tolerance": 1e-5}, "tolerance 1e-05 needs a reason"),
        (
            {"loops": 1.0, "torch": 1.0, "tolerance": 0.0, "reason": " "},
            "tolerance 0 needs a reason",
        ),
        (
            {"loops": 1.0, "torch": 1.0, "tolerance": 1e-5, "reason": None},
            "tolerance 1e-05 needs a reason",
        ),
        (
            {"loops": 1.0, "torch": 1.0, "tolerance": -1, "reason": "x"},
            "tolerance must be a non-negative number",
        ),
        (
            {"loops": 1.0, "torch": 1.0, "tolerance": NAN, "reason": "x"},
            "tolerance must be a non-negative number",
        ),
        (
            {"loops": 1.0, "torch": 1.9, "tolerance": True, "reason": "x"},
            "tolerance must be a non-negative number, got True",
        ),
        ({"loops": 1.0, "torch": 1.0, "floor": True}, "floor must be a non-negative"),
        ({"loops": 1.0, "torch": 1.0, "floor": -1.0}, "floor must be a non-negative"),
        ({"loops": 1.0, "torch": 1.0, "floor": INF}, "floor must be a non-negative"),
    ],
)
def test_wrong_arguments_are_refused(sides, message):
    with pytest.raises(ValueError, match=f"^eq-x: {message}"):
        check.equation("eq-x", **sides)


@pytest.mark.parametrize("label", ["x", "claim-x", "", None, 5])
def test_a_label_is_that_of_an_equation(label):
    with pytest.raises(ValueError, match="expected that of an equation, eq-…"):
        check.equation(label, loops=1.0, torch=1.0)


@pytest.mark.parametrize(
    "value",
    [
        "1.0",
        b"1",
        ["1", "2"],
        {1.0},
        (x for x in [1.0]),
        np.datetime64("2020-01-01"),
        10**400,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_number_is_not_compared(value):
    with pytest.raises(AssertionError, match=r"^eq-x: \w+ is no number, array or tensor of them"):
        check.equation("eq-x", loops=value, torch=1.0)


def test_another_tolerance_has_its_reason_in_the_evidence(monkeypatch):
    displayed = []
    monkeypatch.setattr("IPython.display.display", lambda *a, **k: displayed.append((a, k)))
    monkeypatch.setattr(cell_output, "current_cell", lambda: cell_output.CellRun("a", "1"))
    options = {"tolerance": 1e-5, "reason": "float32"}
    check.equation("eq-x", keras=torch.ones(3), by_hand=np.ones(3))
    check.equation("eq-x", keras=torch.ones(2), by_hand=np.ones(2) + 1e-6, **options)
    (content,), metadata = displayed[1]
    record = metadata["metadata"][cell_output.EQUATION_KEY]
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record.pop("error") == pytest.approx(1e-6, rel=1e-3)
    assert record == {"label": "eq-x", "sides": ["keras", "by_hand"], "values": 2, "floor": 0.0} | (
        options
    )
    assert content["text/plain"].startswith("✓ eq-x: keras = by_hand, 2 numbers agree")


def test_the_docstring_lists_the_names_of_sides():
    for name in check.SIDES:
        assert f"``{name}``" in inspect.getdoc(check.equation), name


WRONG = """
import numpy as np
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
        check.equation("eq-test", loops=left, torch=right)
    except AssertionError:
        continue
    print("accepted", left, right)
arms = {"a": [2.0, 2.1, 2.2], "b": [1.0, 1.1, 1.0]}
options = dict(unit="nats", shared="s", differs="d", seeds=range(3))
try:
    check.claim("claim-x", arms, expected="lower", **options)
except AssertionError as error:
    print("refused:", "does not hold" in str(error))
"""


def test_equations_and_claims_are_refused_when_python_ignores_assertions():
    command = [sys.executable, "-O", "-X", "utf8", "-c", WRONG]
    assert subprocess.check_output(command, cwd=ROOT, text=True) == "refused: True\n"
