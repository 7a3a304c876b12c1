"""The version of the code that a benchmark's results depend on.

It changes with the code of the benchmark and of every definition in this repository that it uses,
directly or not. It does not change with other definitions, with comments, docstrings, layout and
annotations of functions, or when a definition moves to another module.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("benchmarks", "utils")
WITHOUT_EFFECT = (
    "benchmarks.command_line",
    "benchmarks.result_files",
    "benchmarks.code_version",
    "utils.notebook",
    "utils.console",
)
"""Modules that store and show figures and change none."""


def code_version(module: str, root: Path = ROOT) -> str:
    """Compute the version of a module and of the definitions of this repository that it uses.

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
    read = cache(lambda name: _read_module(name, root))
    texts = [text for use in _uses(module, read) for text in read(use.module).texts(use.name)]
    return hashlib.sha256("\n".join(sorted(texts)).encode()).hexdigest()[:12]


def used_names(module: str, root: Path = ROOT) -> set[tuple[str, str]]:
    """Return the modules and names of this repository whose code the version depends on.

    Parameters
    ----------
    module, root
        As for `code_version`.

    Returns
    -------
    names : set of tuple
        Pairs such as ("utils.models.gpt", "GPT"); the name is empty for the statements of a module
        that define nothing.

    Raises
    ------
    ValueError
        If there is no such module.
    """
    return set(_uses(module, cache(lambda name: _read_module(name, root))))


def _uses(start: str, read: Callable[[str], _Module]) -> Iterator[_Use]:
    """Yield every definition that a module uses, directly or not."""
    waiting = [_Use(name, _ALL) for name in (start, f"{start}.__main__") if read(name).statements]
    if not waiting:
        raise ValueError(f"there is no module {start}")
    seen = set[_Use]()
    while waiting:
        use = waiting.pop()
        if use not in seen and not _is_without_effect(use.module):
            seen.add(use)
            source = read(use.module)
            waiting += source.uses(use.name)
            if use.name in source.statements:
                yield use


class _Use(NamedTuple):
    """A name of a module that is used."""

    module: str
    name: str


_ALL = "*"
"""The name that stands for all names of a module."""
_WHEN_IMPORTED = ""
"""The name that stands for the statements of a module that define nothing."""


class _Module(NamedTuple):
    """The top-level statements of a module by the names that they define, and its imports."""

    name: str
    statements: dict[str, list[ast.stmt]]
    imports: dict[str, _Use]

    def texts(self, name: str) -> list[str]:
        """Return the code that defines a name; none if the module only imports it."""
        return [ast.unparse(statement) for statement in self.statements.get(name, [])]

    def uses(self, name: str) -> Iterator[_Use]:
        """Yield what a name of this module uses in turn."""
        if not self.statements:  # there is no such module
            return
        yield _Use(self.name, _WHEN_IMPORTED)
        if name == _ALL:
            yield from (_Use(self.name, name) for name in self.statements)
        elif name in self.statements:
            for statement in self.statements[name]:
                yield from self._names_in(statement)
        else:
            yield self.imports.get(name, _Use(f"{self.name}.{name}", _ALL))

    def _names_in(self, statement: ast.stmt) -> Iterator[_Use]:
        """Yield the names of this repository that a statement contains."""
        for node in ast.walk(statement):
            if isinstance(node, ast.Name):
                if node.id in self.imports:
                    yield self.imports[node.id]
                elif node.id in self.statements:
                    yield _Use(self.name, node.id)


def _read_module(name: str, root: Path) -> _Module:
    """Read a module of this repository; it has no statements if there is none of this name."""
    path = root.joinpath(*name.split("."))
    files = [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]
    if not files or not _is_own(name):
        return _Module(name, {}, {})
    tree = ast.parse(files[0].read_text(encoding="utf-8"))
    module = _Module(name, {_WHEN_IMPORTED: []}, _imports(tree))
    for statement in _WithoutWords().visit(tree).body:
        for defined in _defined_names(statement) or [_WHEN_IMPORTED]:
            module.statements.setdefault(defined, []).append(statement)
    return module


def _imports(tree: ast.AST) -> dict[str, _Use]:
    """Return what is imported from this repository anywhere in a tree, by its name there."""
    imports = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and _is_own(node.module):
            for alias in node.names:
                imports[alias.asname or alias.name] = _Use(str(node.module), alias.name)
        elif isinstance(node, ast.Import):
            for alias in filter(lambda alias: _is_own(alias.name), node.names):
                imports[alias.asname or alias.name.partition(".")[0]] = _Use(alias.name, _ALL)
    return imports


def _is_own(module: str | None) -> bool:
    """Return whether a module is of this repository."""
    return (module or "").partition(".")[0] in PACKAGES


def _is_without_effect(module: str) -> bool:
    """Return whether a module, or the package that it is in, only stores and shows figures."""
    return any(f"{module}.".startswith(f"{name}.") for name in WITHOUT_EFFECT)


def _defined_names(statement: ast.stmt) -> list[str]:
    """Return the names that a top-level statement defines."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        names = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
        return [name.id for name in names if isinstance(name.ctx, ast.Store)]
    return []


class _WithoutWords(ast.NodeTransformer):
    """Drops docstrings, imports and the annotations of functions."""

    def visit_Expr(self, node: ast.Expr) -> ast.stmt | None:
        return None if isinstance(getattr(node.value, "value", None), str) else node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        return None

    def visit_Import(self, node: ast.Import) -> None:
        return None

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(node.arg)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)
