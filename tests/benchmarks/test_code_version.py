"""The version of code: what changes it, and what does not."""

import sys
from pathlib import Path

import pytest

from benchmarks import window
from benchmarks.code_version import PACKAGES, ROOT, WITHOUT_EFFECT, code_version, used_names

FILES = {
    "benchmarks/__init__.py": '"""Benchmarks."""\n',
    "benchmarks/one.py": (
        "from benchmarks import result_files, rates\nfrom utils.gpt import model as build\n"
        "def run():\n    return build() * rates.best, result_files.x\n"
    ),
    "benchmarks/two/__init__.py": "",
    "benchmarks/two/__main__.py": "import utils.gpt\nprint(utils.gpt.model())\n",
    "benchmarks/result_files.py": "x = 1\n",
    "benchmarks/rates.py": "from utils.layers import register\nbest = 1\n",
    "utils/__init__.py": "",
    "utils/gpt.py": (
        "import torch\nfrom utils.layers import Cell\nSTEPS = 2\nregister(STEPS)\n"
        "def model(x: int = 0) -> Cell:\n    'Doc.'\n    from utils.late import late\n"
        "    return [Cell() for _ in range(_helper(late))]\n"
        "def _helper(y):\n    return y\n"
        "def unused(z):\n    return other()\n"
    ),
    "utils/layers.py": "class Base:\n    a = 1\nclass Cell(Base):\n    b = 1\n",
    "utils/late.py": "late: int = 1\n",
    "utils/other.py": "def other():\n    return 1\n",
}


@pytest.fixture
def version(tmp_path):
    """A function that gives the version after one text in a file was replaced."""

    def version(path="utils/gpt.py", old="", new="", *, module="benchmarks.one"):
        assert old in FILES[path]
        for name, text in (FILES | {path: FILES[path].replace(old, new)}).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        return code_version(module, tmp_path)

    return version


USED = [
    ("benchmarks/one.py", "* rates", "+ rates"),
    ("benchmarks/rates.py", "best = 1", "best = 2"),
    ("utils/gpt.py", "x: int = 0", "x: int = 1"),
    ("utils/gpt.py", "return y", "return y + 1"),
    ("utils/gpt.py", "register(STEPS)", "register(STEPS + 1)"),
    ("utils/gpt.py", "STEPS = 2", "STEPS = 3"),
    ("utils/layers.py", "a = 1", "a = 2"),
    ("utils/layers.py", "b = 1", "b = 2"),
    ("utils/late.py", "= 1", "= 2"),
]
UNUSED = [
    ("benchmarks/result_files.py", "x = 1", "x = 2"),
    ("utils/gpt.py", "Doc.", "Another."),
    ("utils/gpt.py", "import torch\n", "'''A model.'''\nimport torch  # why\n\n\n"),
    ("utils/gpt.py", "x: int = 0) -> Cell", "x=0)"),
    ("utils/gpt.py", "def unused(z):\n    return other()", "def unused(z):\n    return z"),
    ("utils/other.py", "return 1", "return 2"),
]


def test_code_that_a_benchmark_uses_changes_its_version(version):
    first = version()
    assert len(first) == 12 and version() == first
    assert len({first, *(version(*change) for change in USED)}) == 1 + len(USED)


@pytest.mark.parametrize("change", UNUSED)
def test_words_and_definitions_that_it_does_not_use_do_not(version, change):
    assert version(*change) == version()


def test_a_definition_may_move_to_another_module(version, tmp_path):
    first = version()
    cell = "class Cell(Base):\n    b = 1\n"
    moved = {
        "utils/cell.py": f"from utils.layers import Base\n{cell}",
        "utils/layers.py": FILES["utils/layers.py"].replace(cell, ""),
        "utils/gpt.py": FILES["utils/gpt.py"].replace(
            "utils.layers import Cell", "utils.cell import Cell"
        ),
    }
    for name, text in moved.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert code_version("benchmarks.one", tmp_path) == first


def test_a_package_is_followed_through_its_command(version):
    first = version(module="benchmarks.two")
    assert version("utils/layers.py", "b = 1", "b = 2", module="benchmarks.two") != first


def test_each_benchmark_has_a_version():
    assert len({code_version(f"benchmarks.{name}") for name in ("loop", "ladder", "speech")}) == 3
    with pytest.raises(ValueError, match=r"there is no module benchmarks\.none"):
        code_version("benchmarks.none")
    assert (ROOT / "benchmarks").is_dir()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="code objects have no qualified names")
def test_all_code_that_a_benchmark_runs_is_among_the_names_that_it_uses(run, monkeypatch):
    monkeypatch.setattr(window, "tune", lambda *_, **__: {0.005: 2.0, 0.01: 1.0, 0.02: 3.0})
    codes = set()
    sys.setprofile(lambda frame, *_: codes.add(frame.f_code))
    try:
        run("window", *"--orders 2 --seeds 0 --steps 1".split())
    finally:
        sys.setprofile(None)
    executed = set()
    for code in codes:
        path = Path(code.co_filename)
        if any(path.is_relative_to(ROOT / package) for package in PACKAGES):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            executed.add((module, code.co_qualname.split(".")[0]))
    without_effect = tuple(f"{name}." for name in WITHOUT_EFFECT)
    checked = {use for use in executed if not f"{use[0]}.".startswith(without_effect)}
    checked = {use for use in checked if not use[1].startswith("<")}  # comprehensions of a module
    assert len(checked) > 50 and checked <= used_names("benchmarks.window")
