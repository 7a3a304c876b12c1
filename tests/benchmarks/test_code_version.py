"""The version of code: what changes it, and what does not."""

import pytest

from benchmarks.code_version import ROOT, code_version

FILES = {
    "benchmarks/__init__.py": '"""Benchmarks."""\n',
    "benchmarks/one.py": "from utils.models import gpt\nfrom benchmarks import record\nsteps = 3\n",
    "benchmarks/two/__init__.py": "",
    "benchmarks/two/__main__.py": "import utils.models.gpt\n",
    "benchmarks/record.py": "x = 1\n",
    "utils/__init__.py": "",
    "utils/models/__init__.py": "",
    "utils/models/gpt.py": "def f():\n    'Doc.'\n    from utils.layers import a\n    return a\n",
    "utils/layers.py": "import torch\na = 1\n",
    "utils/other.py": "b = 1\n",
}


@pytest.fixture
def version(tmp_path):
    """A function that gives the version after files were changed."""

    def version(module="benchmarks.one", **changes):
        texts = FILES | {name.replace("__", "/") + ".py": text for name, text in changes.items()}
        for name, text in texts.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        return code_version(module, tmp_path)

    return version


def test_code_that_a_benchmark_reaches_changes_its_version(version):
    first = version()
    assert len(first) == 12 and version() == first
    changed = [
        version(benchmarks__one=FILES["benchmarks/one.py"].replace("3", "4")),
        version(utils__layers="import torch\na = 2\n"),
        version(utils__models__gpt="def f():\n    return 1\n"),
    ]
    assert len({first, *changed}) == 4 and version() == first
    package = version("benchmarks.two")
    assert version("benchmarks.two", utils__layers="a = 2\n") != package


def test_comments_docstrings_and_other_modules_do_not(version):
    first = version()
    assert version(utils__other="b = 2\n") == first
    assert version(benchmarks__record="x = 2\n") == first
    assert version(utils__layers="'''Layers.'''\nimport torch  # why\n\n\na = 1  # one\n") != first
    with_docstring = version(utils__layers="'''Layers.'''\nimport torch\na = 1\n")
    assert version(utils__layers="'''Other.'''\nimport torch  # why\n\na  =  1\n") == with_docstring
    other = FILES["utils/models/gpt.py"].replace("Doc.", "Another.")
    assert version(utils__models__gpt=other) == first


def test_each_benchmark_has_a_version():
    assert len({code_version(f"benchmarks.{name}") for name in ("loop", "ladder", "speech")}) == 3
    with pytest.raises(ValueError, match=r"there is no module benchmarks\.none"):
        code_version("benchmarks.none")
    assert (ROOT / "benchmarks").is_dir()
