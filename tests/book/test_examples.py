"""Python in the Markdown pages: it can be parsed, and imports from the library what exists."""

import ast
import importlib
import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "book").glob("*.md"))]
FENCE = re.compile(r"^( *)```(?:python|py)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(from (?:utils|benchmarks|tools)[\w.]* import [^`\n]+)`")
OURS = ("utils", "benchmarks", "tools")


def examples_in(text):
    """The code of all fences, and import statements inside the prose."""
    yield from (textwrap.dedent(code) for _, code in FENCE.findall(text))
    yield from INLINE.findall(text)


def imports_of(code):
    """The modules of this repository that code imports, each with the names taken from it."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in OURS:
            yield node.module, [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from ((x.name, []) for x in node.names if x.name.split(".")[0] in OURS)


def missing_names(code):
    """The names that code imports though they do not exist."""
    for module, names in imports_of(code):
        found = importlib.import_module(module)
        for name in names:
            if not hasattr(found, name):
                try:
                    importlib.import_module(f"{module}.{name}")
                except ModuleNotFoundError:
                    yield f"{module}.{name}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_examples_of_a_page_import_what_exists(path):
    for code in examples_in(path.read_text(encoding="utf-8")):
        missing = list(missing_names(code))
        assert not missing, f"{path.name} imports {', '.join(missing)}"


def test_examples_are_found_and_their_imports_resolved():
    text = (
        "```python\nfrom utils.arguments import check_choice, gone\n```\n\n"
        "- as `from utils.models import gpt, none`:\n\n  ```python\n  import utils.console\n  ```\n"
    )
    examples = list(examples_in(text))
    assert [list(imports_of(code)) for code in examples] == [
        [("utils.arguments", ["check_choice", "gone"])],
        [("utils.console", [])],
        [("utils.models", ["gpt", "none"])],
    ]
    missing = [name for code in examples for name in missing_names(code)]
    assert missing == ["utils.arguments.gone", "utils.models.none"]


def test_the_example_of_the_readme_is_read():
    codes = list(examples_in((ROOT / "README.md").read_text(encoding="utf-8")))
    assert ("utils.command.run_folder", ["load_trained_model"]) in [
        found for code in codes for found in imports_of(code)
    ]


def test_the_python_of_the_engine_page_computes_the_logits_of_the_library():
    """The blocks of the page in order, the last of which compares."""
    text = (ROOT / "book" / "engine.md").read_text(encoding="utf-8")
    code = "\n".join(examples_in(text))
    names = {}
    exec(compile(code, "book/engine.md", "exec"), names)
    spoilt = code.replace("scores = 2 *", "scores =")
    assert spoilt != code
    with pytest.raises(AssertionError):
        exec(compile(spoilt, "book/engine.md", "exec"), {})
    assert len(names["ids"]) > 10 and names["logits"].shape == (1000,)
