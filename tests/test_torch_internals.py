"""Private names of torch: one module has them all, and what it makes of them works."""

import ast
import re
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import nn

from utils.torch_internals import (
    ReplacingModule,
    assert_when_run,
    is_view,
    register_named_tuple,
)

UTILS = Path(__file__).resolve().parents[1] / "utils"
PRIVATE = re.compile(r"_[a-z]\w*")
TEXTS = ("_orig_mod", ".distcp", ".metadata")  # a prefix of names and endings of files
# What the library derives classes from, or makes: an attribute of their private names is torch's.
WEIGHTS = [nn.Parameter(torch.ones(2, 2))]
OBJECTS = (
    nn.Embedding(2, 2),
    nn.Linear(2, 2),
    nn.LSTM(2, 2),
    torch.amp.GradScaler("cpu"),
    torch.ones(2, 2),
    torch.optim.AdamW(WEIGHTS, fused=True),
)
NAMES = {
    name for thing in OBJECTS for name in {*dir(thing), *vars(thing)} if PRIVATE.fullmatch(name)
}


def private_names(text: str) -> set[str]:
    """The private names of torch that a module uses: imported, read, or defined anew."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            paths = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            paths = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute):
            paths = [ast.unparse(node)]
            found |= {node.attr} & NAMES
        else:
            paths = []
            found |= {node.name} & NAMES if isinstance(node, ast.FunctionDef) else set()
        for path in paths:
            root, *names = path.split(".")
            if root in ("torch", "nn", "F", "pytree"):
                found |= {name for name in names if PRIVATE.fullmatch(name)}
    return found


def internal_texts(text: str) -> set[str]:
    """The names of torch's own that a module has in its texts, other than docstrings."""
    tree = ast.parse(text)
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone
    ]
    return {name for name in TEXTS for text in texts if name in text}


def test_one_module_has_all_private_names_of_torch():
    used = {
        path.relative_to(UTILS).as_posix(): private_names(text) | internal_texts(text)
        for path in UTILS.rglob("*.py")
        for text in [path.read_text(encoding="utf-8")]
    }
    own = used.pop("torch_internals.py")
    names = {"_apply", "_assert_async", "_base", "_pytree", "_register_namedtuple"}
    assert own == names | {*TEXTS}
    assert not any(used.values()), {path: names for path, names in used.items() if names}


@pytest.mark.parametrize(
    "text, name",
    [
        ("from torch.utils import _pytree as pytree", "_pytree"),
        ("import torch._dynamo", "_dynamo"),
        ("torch._assert_async(x, 'wrong')", "_assert_async"),
        ("torch.distributed._shard.f(x)", "_shard"),
        ("model._parameters", "_parameters"),
        ("self._step_supports_amp_scaling = False", "_step_supports_amp_scaling"),
        ("class A(nn.Embedding):\n    def _fill_padding_idx_with_zero(self): ...", "_fill_padding"),
    ],
)
def test_a_private_name_is_found(text, name):
    (found,) = private_names(text)
    assert found.startswith(name)


@pytest.mark.parametrize("text", ["part != '_orig_mod'", "f'__{rank}_*.distcp'", "x = '.metadata'"])
def test_a_name_of_torchs_in_a_text_is_found(text):
    assert len(internal_texts(text)) == 1
    assert not internal_texts(f'"""Docstring: {text}."""')


def test_names_that_are_not_torchs_are_not_found():
    assert not private_names("self._own_name(x._replace(a=1))\ntorch.__version__\nos._exit(1)")


class Pair(NamedTuple):
    first: torch.Tensor
    second: torch.Tensor


def test_an_exported_model_with_a_registered_named_tuple_can_be_saved(tmp_path):
    class Swap(nn.Module):
        def forward(self, first: torch.Tensor, second: torch.Tensor) -> Pair:
            return Pair(second + 0, first + 0)

    register_named_tuple(Pair, name="tests.Pair")
    x = torch.zeros(2), torch.ones(2)
    torch.export.save(torch.export.export(Swap(), x), tmp_path / "swap.pt2")
    swapped = torch.export.load(tmp_path / "swap.pt2").module()(*x)
    assert isinstance(swapped, Pair) and swapped.first.tolist() == [1, 1]


def test_a_view_is_told_from_other_tensors():
    x = torch.ones(2, 3, requires_grad=True)
    assert is_view(x[0]) and is_view(x.mT) and not is_view(x) and not is_view(x + 1)


def test_a_condition_is_checked_when_an_exported_model_runs():
    class Checked(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert_when_run((x > 0).all(), "x must be positive")
            return x + 1

    model = torch.export.export(Checked(), (torch.ones(2),)).module()
    assert model(torch.ones(2)).tolist() == [2, 2]
    with pytest.raises(RuntimeError, match="x must be positive"):
        model(torch.zeros(2))


def test_a_context_surrounds_each_conversion_also_inside_another_module():
    events = []

    class Inner(ReplacingModule):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))

        @contextmanager
        def replacing_tensors(self):
            events.append(self.weight.dtype)
            yield
            events.append(self.weight.dtype)

    model = nn.Sequential(Inner())
    model.to(torch.float64)
    assert events == [torch.float32, torch.float64]
    assert ReplacingModule().half() is not None, "without a context of its own"
