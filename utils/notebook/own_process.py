"""Run a function of a notebook in a process of its own, with other environment variables.

Some libraries choose what they run on when they are imported, as Keras chooses its backend: then
each choice needs a process of its own. The process gets the text of the function and of all that it
uses, so that exactly the code of the page runs there. Used in section 7.1.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import os
import pickle
import subprocess
import symtable
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

CONSTANTS = (bool, int, float, str, bytes, type(None), tuple)  # that are written as they are
RUN = """
import pickle
import sys
if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        given = pickle.load(file)
    with open(sys.argv[2], "wb") as file:
        pickle.dump({job}(given), file)
"""
NUM_LINES = 30  # of the messages of a process that failed, the last ones


def run_in_process(
    job: Callable[[Any], Any], given: object, *, environment: Mapping[str, str]
) -> Any:
    """Call a function in a new process and return its result.

    Parameters
    ----------
    job
        A function of one argument. It and what it uses may be defined in cells of a notebook;
        `script_for` says what else it may use.
    given
        Its argument: NumPy arrays, numbers, strings, None, and lists, tuples and dicts of them.
    environment
        Variables of the new process, beside those of this one.

    Returns
    -------
    result : object
        What the function returned, built from the same types.

    Raises
    ------
    RuntimeError
        If the process fails; the message has the end of what it wrote.
    ValueError
        If the function uses something that cannot be written into a script.
    """
    with tempfile.TemporaryDirectory() as name:
        script, argument, result = (Path(name, part) for part in ("job.py", "argument", "result"))
        script.write_text(script_for(job), encoding="utf-8")
        argument.write_bytes(pickle.dumps(given))
        finished = subprocess.run(
            [sys.executable, str(script), str(argument), str(result)],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if finished.returncode or not result.is_file() or not result.stat().st_size:
            lines = finished.stderr.splitlines()[-NUM_LINES:]
            lines.append(f"(it ended with code {finished.returncode} and gave no result)")
            raise RuntimeError(f"{job.__name__} failed in its process:\n" + "\n".join(lines))
        return pickle.loads(result.read_bytes())


def script_for(job: Callable[..., object]) -> str:
    """Return a script that defines a function and all that it uses, and calls it.

    Names that the function uses, and those that they use, are defined by what they are here:
    functions and classes of the same notebook by their text, modules and what belongs to other
    modules by an import, numbers, strings and tuples of them by their value.

    Parameters
    ----------
    job
        The function. It, and the functions and classes that it uses, are defined at the top level
        of a cell or a module.

    Returns
    -------
    script : str
        A program that reads the file of its first argument and writes that of its second.

    Raises
    ------
    ValueError
        If a name has another value, such as an array, or the text of a definition is not found.
    """
    parts: dict[str, str] = {}
    _define(job.__name__, job, job.__module__, parts)
    return "\n\n".join([*parts.values(), RUN.format(job=job.__name__)])


def _define(name: str, value: object, notebook: str, parts: dict[str, str]) -> None:
    """Add what defines a name, after what that needs itself."""
    if name in parts:
        return
    if isinstance(value, ModuleType):
        parts[name] = f"import {value.__name__} as {name}"
    elif isinstance(value, CONSTANTS):
        parts[name] = f"{name} = {value!r}"
    elif getattr(value, "__module__", None) == notebook and hasattr(value, "__qualname__"):
        text, values = _definition(value)
        parts[name] = ""  # begun: a function may use itself
        for other in _global_names(text):
            if other in values:
                _define(other, values[other], notebook, parts)
        del parts[name]
        parts[name] = text
    elif hasattr(value, "__module__") and hasattr(value, "__qualname__"):
        parts[name] = f"from {value.__module__} import {value.__qualname__} as {name}"
    else:
        raise ValueError(f"{name} is {type(value).__name__}: give it to the process as an array")


def _definition(value: Any) -> tuple[str, Mapping[str, object]]:
    """Return the text of a function or class, and the values of the global names of its cell."""
    name = value.__qualname__
    functions = [value, *vars(value).values()] if inspect.isclass(value) else [value]
    found = next((part for part in functions if inspect.isfunction(part)), None)
    lines = linecache.getlines(found.__code__.co_filename) if found else []
    text = "".join(line for line in lines if line[:1] not in "%!")
    for node in ast.parse(text).body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or found is None:
            continue
        if node.name == name:
            return ast.unparse(node), found.__globals__
    raise ValueError(f"the definition of {name} is not found at the top level of a cell")


def _global_names(text: str) -> list[str]:
    """Return the names that a definition takes from around it."""
    top = symtable.symtable(text, "definition", "exec")
    names = [s.get_name() for s in top.get_symbols() if s.is_referenced()]  # bases, decorators
    names += [s.get_name() for table in _inner(top) for s in table.get_symbols() if s.is_global()]
    return list(dict.fromkeys(names))


def _inner(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    """Yield all scopes inside a scope."""
    for child in table.get_children():
        yield child
        yield from _inner(child)
