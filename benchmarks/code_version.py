"""The version of the code that a benchmark's results depend on.

It changes with the code of the benchmark and of every module of this repository that it imports,
directly or not, but neither with comments, docstrings and layout, nor with other files.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("benchmarks", "utils")
WITHOUT_EFFECT = ("benchmarks.record", "benchmarks.code_version", "utils.notebook", "utils.console")
"""Modules that store and show figures and change none."""


def code_version(module: str, root: Path = ROOT) -> str:
    """Compute the version of a module and of what it imports from this repository.

    Parameters
    ----------
    module
        The module, such as "benchmarks.loop"; of a package, its command ``__main__`` too.
    root
        The folder of the repository.

    Returns
    -------
    version : str
        12 hexadecimal digits. They are the same on all machines with one version of Python.

    Raises
    ------
    ValueError
        If there is no such module.
    """
    if not any(_files(module, root)):
        raise ValueError(f"there is no module {module} in {root}")
    waiting, texts = [module, f"{module}.__main__"], dict[Path, str]()
    while waiting:
        name = waiting.pop()
        for path in _files(name, root):
            if path not in texts and not _is_without_effect(name):
                tree = ast.parse(path.read_text(encoding="utf-8"))
                waiting += _imports(tree)
                texts[path] = ast.unparse(_without_docstrings(tree))
    names = {path.relative_to(root).as_posix(): text for path, text in texts.items()}
    content = "\n".join(f"{name}\n{text}" for name, text in sorted(names.items()))
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def _is_without_effect(module: str) -> bool:
    """Return whether a module, or the package that it is in, only stores and shows figures."""
    return any(f"{module}.".startswith(f"{name}.") for name in WITHOUT_EFFECT)


def _files(module: str, root: Path) -> list[Path]:
    """Return the file of a module; none if it is not of this repository, or only a name in one."""
    if module.partition(".")[0] not in PACKAGES:
        return []
    path = root.joinpath(*module.split("."))
    return [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]


def _imports(tree: ast.Module) -> Iterator[str]:
    """Yield the names of modules that a file imports, anywhere in it; some may be no modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """Replace every string that stands alone as a statement by ``pass``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [
                ast.Pass() if _is_string(statement) else statement for statement in node.body
            ]
    return ast.fix_missing_locations(tree)


def _is_string(statement: ast.stmt) -> bool:
    """Return whether a statement is nothing but a string."""
    return isinstance(statement, ast.Expr) and isinstance(
        getattr(statement.value, "value", None), str
    )
