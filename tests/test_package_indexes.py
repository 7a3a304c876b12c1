"""The docstring of each package lists its modules and packages, and nothing else."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = sorted(
    path.parent
    for folder in ("utils", "benchmarks", "tools")
    for path in (ROOT / folder).rglob("__init__.py")
    if any(path.parent.glob("[!_]*.py"))
)
NAME = re.compile(r"``(\w+)``")
ENTRY = re.compile(r"^(?:- )?((?:``\w+``(?:,\s+|\s*(?::|$|\s(?=\s))))+)", re.MULTILINE)


def docstring(package):
    return ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8"))) or ""


def parts_of(package):
    modules = {path.stem for path in package.glob("[!_]*.py")}
    return modules | {path.parent.name for path in package.glob("*/__init__.py")}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_package_lists_its_modules(package):
    text = docstring(package)
    missing = parts_of(package) - set(NAME.findall(text))
    assert not missing, f"its docstring does not name {', '.join(sorted(missing))}"
    listed = {name for entry in ENTRY.findall(text) for name in NAME.findall(entry)}
    unknown = listed - parts_of(package) - {"__main__"}
    assert not unknown, f"its docstring lists {', '.join(sorted(unknown))}, which do not exist"


def test_entries_are_found_in_each_form_of_a_list():
    text = (
        "Before ``no``.\n\n- ``a``, ``b``,\n  ``c``: x of ``no``\n``d``   y\n``e``, ``f``,\n``g``\n"
    )
    listed = [name for entry in ENTRY.findall(text) for name in NAME.findall(entry)]
    assert listed == list("abcdefg")
