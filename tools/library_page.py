"""The page of the library: its packages, their modules, and the public names of each.

Everything is read from the source, so that nothing on the page is typed by hand: what a module is
for is the first line of its docstring.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from tools.contents import ROOT
from tools.directives import GeneratedDirective, table
from tools.repository import repository_address
from tools.translation.catalogues import _

LIBRARY = ROOT / "utils"


@dataclass(frozen=True)
class Module:
    """A module of the library.

    Parameters
    ----------
    path
        Its path in the repository, such as "utils/data/batches.py".
    purpose
        The first line of its docstring.
    lines
        The line of each public name, in their order: functions, classes, constants and types.
    """

    path: str
    purpose: str
    lines: dict[str, int]


def read_module(path: Path, root: Path = ROOT) -> Module:
    """Read what a module offers from its source.

    Parameters
    ----------
    path
        The module's file.
    root
        The folder of the repository.

    Returns
    -------
    module : Module
        Its purpose and its public names; type variables are left out.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    purpose = (ast.get_docstring(tree) or "").partition("\n")[0]
    names = [(name, node.lineno) for node in tree.body for name in _names_in(node)]
    lines = {name: line for name, line in reversed(names) if not name.startswith("_")}
    return Module(path.relative_to(root).as_posix(), purpose, dict(reversed(lines.items())))


def _names_in(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement of a module defines; imports and type variables do not."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield statement.name
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        called = getattr(getattr(statement.value, "func", None), "id", "")
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        if called != "TypeVar":
            names = (node for target in targets for node in ast.walk(target))
            yield from (
                node.id
                for node in names
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            )


class LibraryList(GeneratedDirective):
    """Every package with a table of its modules, linked to their source."""

    def files(self) -> list[Path]:
        """Return the modules of the library."""
        return sorted(LIBRARY.rglob("*.py"))

    def messages(self) -> list[str]:
        """Return what the packages and the modules are for."""
        return [read_module(path).purpose for path in self.files()]

    def markdown(self) -> Iterator[str]:
        """Yield for each package its name, its purpose, and the table of its modules."""
        for package in sorted(LIBRARY.rglob("__init__.py")):
            name = ".".join(package.parent.relative_to(ROOT).parts)
            modules = map(read_module, sorted(package.parent.glob("[!_]*.py")))
            yield from (f"### `{name}`", "", read_module(package).purpose, "")
            yield from table(
                [_("module"), _("what it is for"), _("public names")],
                ([source_link(x), x.purpose, name_links(x)] for x in modules),
                align="---",
            )
            yield ""


def source_link(module: Module) -> str:
    """Link to the source of a module by its name, in Markdown."""
    return f"[`{Path(module.path).stem}`]({repository_address()}/blob/main/{module.path})"


def name_links(module: Module) -> str:
    """Link to the line of each public name of a module, in Markdown."""
    address = f"{repository_address()}/blob/main/{module.path}"
    return ", ".join(f"[`{name}`]({address}#L{line})" for name, line in module.lines.items())


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive; Sphinx calls this."""
    app.add_directive("library-list", LibraryList)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
