"""The examples in the library's docstrings run as they are, and print what they say."""

import ast
import doctest
import tempfile
from collections import Counter
from pathlib import Path

import matplotlib as mpl
import pytest

ROOT = Path(__file__).resolve().parents[1]
UTILS = ROOT / "utils"
TORCH_CACHE = "torchinductor_*"  # that torch makes in the folder of temporary files
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def examples_of(text: str, name: str) -> list[doctest.DocTest]:
    """The examples of each docstring of a module, which know none of the module's names.

    They are read from the source, as `doctest` finds no function that a decorator of another
    package has wrapped.
    """
    found = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, DOCUMENTED):
            continue
        docstring = ast.get_docstring(node, clean=False)
        if docstring and ">>>" in docstring:
            title = f"{name}.{getattr(node, 'name', '')}"
            found.append(
                doctest.DocTestParser().get_doctest(
                    docstring, {"__name__": "__main__"}, title, name, node.body[0].lineno - 1
                )
            )
    return found


def name_of(path: Path) -> str:
    """The dotted name of a module inside utils: data.batches."""
    return ".".join(path.relative_to(UTILS).with_suffix("").parts)


EXAMPLES = {
    name_of(path): found
    for path in sorted(UTILS.rglob("*.py"))
    if (found := examples_of(path.read_text(encoding="utf-8"), name_of(path)))
}


@pytest.fixture
def folder(tmp_path, monkeypatch, offline):
    """An empty working folder, in which temporary files are made too; figures open no window."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with mpl.rc_context():
        mpl.use("Agg")
        yield tmp_path


def failures_of(examples: list[doctest.DocTest]) -> str:
    """What doctest reports of examples that print something else than they say."""
    report: list[str] = []
    for example in examples:
        doctest.DocTestRunner(verbose=False).run(example, out=report.append)
    return "".join(report)


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_print_what_they_say_and_leave_no_file(module, folder):
    failures = failures_of(EXAMPLES[module])
    assert not failures, failures
    left = [path.name for path in folder.iterdir() if not path.match(TORCH_CACHE)]
    assert not left, f"the examples of {module} leave files behind: {left}"


def test_each_package_shows_examples():
    counts = Counter(module.partition(".")[0] for module, found in EXAMPLES.items() for _ in found)
    packages = [path.parent.name for path in UTILS.glob("*/__init__.py")]
    assert "models" in packages
    assert all(counts[package] >= 2 for package in packages), counts


@pytest.mark.parametrize(
    "line, fault",
    [
        (">>> math.sqrt(4)\n    2.0", "name 'math' is not defined"),
        (">>> 1 + 1\n    3", "Expected:"),
    ],
)
def test_a_wrong_example_is_reported(line, fault, folder):
    text = f'import math\n\n\ndef f():\n    """Do nothing.\n\n    {line}\n    """\n'
    (example,) = examples_of(text, "module")
    report = failures_of([example])
    assert fault in report and "line 7" in report
