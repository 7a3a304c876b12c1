"""Which notebooks still check equations without saying where the two sides come from.

The list may only shrink: a notebook that is converted leaves it with the same commit. When it is
empty, this file goes, and so does the old form in ``utils/notebook/check.py``.
"""

import ast
from pathlib import Path

import nbformat
import pytest

from utils.notebook.check import SIDES

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WITHOUT_NAMES = set(
    """
    02-1-language-models
    02-2-large-language-models
    02-3-encoder-decoder
    03-1-training-a-language-model
    03-2-encoder-and-decoder-steps
    04-1-1-nnlm
    04-1-2-rnnlm
    04-2-encoder-decoder-mathematics
    05-1-a-language-model
    05-2-a-seq2seq-model
    06-1-machine-translation
    06-2-text-generation
    06-3-speech-recognition
    07-1-tensorflow
    07-2-pytorch
    07-3-transformer
    08-1-compute-and-memory
    08-2-interpretability
    08-3-robustness
    09-1-text-classification
    """.split()
)


def equations(code):
    """The calls of check.equation in a cell."""
    lines = [line for line in code.splitlines() if line[:1] not in "%!"]
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "check.equation":
            yield node


def has_names(call):
    return len(call.args) == 1 and len({key.arg for key in call.keywords} & SIDES.keys()) == 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_names_the_sides_of_its_equations_or_is_listed(path):
    cells = nbformat.read(path, as_version=4).cells
    calls = [call for cell in cells if cell.cell_type == "code" for call in equations(cell.source)]
    nameless = [ast.unparse(call.args[0]) for call in calls if not has_names(call)]
    if path.stem in WITHOUT_NAMES:
        assert nameless, f"{path.stem} is converted: take it off the list"
    else:
        assert not nameless, f"{path.stem}: these need two sides with names of {list(SIDES)}"


def test_the_list_has_no_other_names():
    assert {path.stem for path in NOTEBOOKS} >= WITHOUT_NAMES


def test_calls_with_and_without_names_are_told_apart():
    code = """
check.equation("eq-a", left, right)
check.equation("eq-a", loops=left, torch=right, tolerance=1e-5, reason="float32")
check.equation("eq-a", *both)
check.equation("eq-a", loops=left, right=right)
"""
    assert [has_names(call) for call in equations(code)] == [False, True, False, False]
