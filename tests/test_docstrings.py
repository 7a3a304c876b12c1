"""Docstrings agree with the code: parameters, returned values and raised exceptions.

Linters check the form of a docstring; these rules compare it with the code. They hold for every
public class, function and method of the library, the tools and the benchmarks:

- all parameters are documented, in the order of the signature, and returned or yielded values in a
  section Returns or Yields; a function with one parameter, or with few of them and few lines, needs
  its summary only, but what it documents is complete;
- a documented parameter exists;
- a result has a name and a type;
- the section Raises names each exception that the body itself raises;
- a name such as ``utils.data.batches.pad``, and a path in this repository, exists.

A class documents what its constructor takes and raises. Private functions need no sections, and a
parameter ``_name``, which a caller gives and nothing uses, is not documented.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

import docstring_parser
import pytest
from numpydoc.docscrape import NumpyDocString

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    path for folder in ("utils", "tools", "benchmarks") for path in (ROOT / folder).rglob("*.py")
)
CONSTRUCTORS = ("__init__", "__post_init__")
# A function within both limits may have a summary alone: its parameters are obvious from names and
# types.
MAX_PARAMETERS, MAX_LINES = 3, 10
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class Definition(NamedTuple):
    """A class or function: its docstring, and what this ought to describe.

    Parameters
    ----------
    name
        The qualified name, without the module.
    docstring
        None where there is none.
    parameters
        Names in the order of the signature, without the receiver of a method.
    all_known
        False for a class whose constructor takes more, which it inherits.
    result
        The section that must describe the result, "Returns" or "Yields"; "" for None.
    raises
        Names of the exceptions that the body itself raises.
    is_small
        Whether a summary of parameters and result is enough.
    """

    name: str
    docstring: str | None
    parameters: list[str]
    all_known: bool = True
    result: str = ""
    raises: frozenset[str] = frozenset()
    is_small: bool = False


def inside(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes inside one, but not those inside a function or class that it contains."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, Function | ast.ClassDef | ast.Lambda):
            yield from inside(child)


def last_name(node: ast.expr | None) -> str:
    """The last name of ``a.b.Name``, ``Name[…]`` or ``Name(…)``."""
    match node:
        case ast.Call(func=inner) | ast.Subscript(value=inner):
            return last_name(inner)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def names_of(decorators: list[ast.expr]) -> set[str]:
    return {last_name(decorator) for decorator in decorators}


def parameters_of(function: Function, *, is_method: bool) -> list[str]:
    signature = function.args
    positional = [*signature.posonlyargs, *signature.args]
    if is_method and "staticmethod" not in names_of(function.decorator_list):
        positional = positional[1:]
    stars = [[star] if star else [] for star in (signature.vararg, signature.kwarg)]
    arguments = [*positional, *stars[0], *signature.kwonlyargs, *stars[1]]
    return [argument.arg for argument in arguments if not argument.arg.startswith("_")]


def raised_by(function: Function) -> frozenset[str]:
    """The names of exceptions; ``raise`` and ``raise error`` of a variable name none."""
    names = {last_name(node.exc) for node in inside(function) if isinstance(node, ast.Raise)}
    return frozenset(name for name in names - {"NotImplementedError"} if name[:1].isupper())


def result_of(function: Function) -> str:
    """The section for a function's result, "" if it returns None or yields nothing but None."""
    annotation = ast.unparse(function.returns) if function.returns else "None"
    if annotation in ("None", "NoReturn", "Iterator[None]"):
        return ""
    is_generator = any(isinstance(node, ast.Yield | ast.YieldFrom) for node in inside(function))
    return "Yields" if is_generator else "Returns"


def is_small(function: Function, parameters: list[str]) -> bool:
    """Whether a function has few parameters and few lines of code after its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
    return len(parameters) <= MAX_PARAMETERS and lines <= MAX_LINES


def fields_of(class_: ast.ClassDef) -> list[str]:
    """The parameters of a constructor that is made from annotated fields."""
    return [
        node.target.id
        for node in class_.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and not node.target.id.startswith("_")
        and last_name(node.annotation) != "ClassVar"
        and not (isinstance(node.value, ast.Call) and "init=False" in ast.unparse(node.value))
    ]


def of_class(class_: ast.ClassDef, name: str) -> Definition:
    methods = {node.name: node for node in class_.body if isinstance(node, Function)}
    bases = {last_name(base) for base in class_.bases}
    parameters: list[str] = []
    if "__init__" in methods:
        parameters = parameters_of(methods["__init__"], is_method=True)
    elif "dataclass" in names_of(class_.decorator_list) or "NamedTuple" in bases:
        parameters = fields_of(class_)
    raises = [raised_by(methods[constructor]) for constructor in CONSTRUCTORS & methods.keys()]
    return Definition(
        name,
        ast.get_docstring(class_),
        parameters,
        all_known="__init__" in methods or bases <= {"NamedTuple", "Protocol", "Generic", "ABC"},
        raises=frozenset().union(*raises),
    )


def of_function(function: Function, name: str, *, is_method: bool) -> Definition:
    parameters = parameters_of(function, is_method=is_method)
    return Definition(
        name,
        ast.get_docstring(function),
        parameters,
        result=result_of(function),
        raises=raised_by(function),
        is_small=is_small(function, parameters),
    )


def definitions(body: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[Definition]:
    """Yield the public classes, functions and methods of a module or a class.

    They include ``__call__``, except of a type that documents it as ``forward``.
    """
    names = {node.name for node in body.body if isinstance(node, Function)}
    for node in body.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield of_class(node, prefix + node.name)
            yield from definitions(node, f"{prefix}{node.name}.")
        elif isinstance(node, Function):
            is_call = node.name == "__call__" and "forward" not in names
            is_public = not node.name.startswith("_") or is_call
            if is_public and "overload" not in names_of(node.decorator_list):
                yield of_function(node, prefix + node.name, is_method=bool(prefix))


def faults(definition: Definition) -> list[str]:
    """What is wrong with the docstring of one definition, in words."""
    if definition.docstring is None:
        return [f"{definition.name} has no docstring"]
    sections = NumpyDocString(definition.docstring)
    documented = [
        name.strip().lstrip("*") for item in sections["Parameters"] for name in item.name.split(",")
    ]
    parameters = definition.parameters
    wrong = []
    needs_sections = len(parameters) > 1 and not definition.is_small
    if needs_sections or documented:
        wrong += [f"parameter {name} is missing" for name in parameters if name not in documented]
    if definition.all_known:
        wrong += [f"no parameter is called {name}" for name in documented if name not in parameters]
    in_both = [name for name in documented if name in parameters]
    if in_both != sorted(in_both, key=parameters.index):
        wrong.append(f"the order of the parameters is {', '.join(parameters)}")
    if definition.result and needs_sections and not sections[definition.result]:
        wrong.append(f"section {definition.result} is missing")
    results = [*sections["Returns"], *sections["Yields"]]
    wrong += [f"the result {item.type} has no name" for item in results if not item.name]
    named = {item.type for item in sections["Raises"]}
    wrong += [f"section Raises lacks {name}" for name in sorted(definition.raises - named)]
    return [f"{definition.name}: {fault}" for fault in wrong]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def faults_of(text: str) -> list[str]:
    return [fault for definition in definitions(ast.parse(text)) for fault in faults(definition)]


def test_docstrings_describe_the_code():
    wrong = [
        f"{name_of(path)}: {fault}"
        for path in MODULES
        for fault in faults_of(path.read_text(encoding="utf-8"))
    ]
    assert not wrong, "\n".join(wrong)


GOOD = '''
@dataclass
class Range:
    """A range of numbers.

    Parameters
    ----------
    low
        The lowest number.
    high
        The highest number.

    Raises
    ------
    ValueError
        If the range is empty.
    """

    low: float
    high: float = 1.0

    def __post_init__(self) -> None:
        if self.high < self.low:
            raise ValueError("empty")

    @property
    def width(self) -> float:
        """The length of the range."""
        return self.high - self.low

    def clip(self, x: float, *bounds: float, strict: bool = False, **names: str) -> float:
        """Clip a number to the range.

        Parameters
        ----------
        x
            The number.
        *bounds
            Further bounds.
        strict
            Whether to raise instead.
        **names
            Names of the bounds.

        Returns
        -------
        clipped : float
            The nearest number of the range.

        Raises
        ------
        ValueError
            If `strict` and `x` is outside.
        """
        if strict and not self.low <= x <= self.high:
            raise ValueError(x)
        return min(max(x, self.low), self.high)
'''


def test_a_complete_docstring_has_no_fault():
    assert faults_of(GOOD) == []


@pytest.mark.parametrize(
    "parameters, lines, is_enough",
    [
        ("a: int, b: int, c: int", 10, True),
        ("a: int, b: int, c: int, d: int", 1, False),
        ("a: int, b: int", 11, False),
    ],
)
def test_a_summary_is_enough_for_a_small_function(parameters, lines, is_enough):
    body = "    a += b\n" * (lines - 1) + "    return a\n"
    found = faults_of(f'def add({parameters}) -> int:\n    """Add numbers."""\n{body}')
    assert (not found) == is_enough


def test_what_a_small_function_documents_and_raises_is_right():
    text = 'def invert(x: float) -> float:\n    """Invert.\n\n    Parameters\n    ----------\n'
    text += '    y\n        A number.\n    """\n    if not x:\n        raise ValueError("x is 0")\n'
    assert faults_of(f"{text}    return 1 / x\n") == [
        "invert: parameter x is missing",
        "invert: no parameter is called y",
        "invert: section Raises lacks ValueError",
    ]


@pytest.mark.parametrize(
    "old, new, fault",
    [
        ('"""The length of the range."""', "", "Range.width has no docstring"),
        ("    low\n        The lowest number.\n", "", "Range: parameter low is missing"),
        ("        x\n            The number.\n", "", "Range.clip: parameter x is missing"),
        ("        *bounds\n", "        *others\n", "Range.clip: parameter bounds is missing"),
        ("        *bounds\n", "        *others\n", "Range.clip: no parameter is called others"),
        ("    low: float\n", "    lowest: float\n", "Range: no parameter is called low"),
        ("low: float\n    high: float = 1.0", "high: float\n    low: float", "Range: the order"),
        ("x: float, *bounds: float", "bounds: float, x: float", "Range.clip: the order"),
        ("        Returns\n        -------\n", "", "Range.clip: section Returns is missing"),
        ("clipped : float", "float", "Range.clip: the result float has no name"),
        ('ValueError("empty")', 'TypeError("empty")', "Range: section Raises lacks TypeError"),
        ("raise ValueError(x)", "raise KeyError", "Range.clip: section Raises lacks KeyError"),
    ],
)
def test_a_broken_docstring_has_its_fault(old, new, fault):
    assert GOOD.count(old) == 1
    assert any(found.startswith(fault) for found in faults_of(GOOD.replace(old, new)))


def docstrings(path: Path) -> dict[str, str]:
    """The docstrings of a module, by the names of what they describe."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, documented)
    ]
    return {
        f"{getattr(node, 'name', path.stem)}, line {getattr(node, 'lineno', 1)}": docstring
        for node in nodes
        if (docstring := ast.get_docstring(node))
    }


def prose_in_sections(docstring: str) -> list[str]:
    """What a parser of numpydoc takes for an item of a section, or in one, but is prose."""
    prose = []
    for item in docstring_parser.parse(docstring, docstring_parser.DocstringStyle.NUMPYDOC).meta:
        words = [getattr(item, key, None) for key in ("arg_name", "return_name", "type_name")]
        heading = " : ".join(word for word in words if word)
        # names, with commas between them, or types: no sentence, and no reference to an equation
        is_name = re.fullmatch(r"[\w*.,:\[\]| ]*[\w\]]", heading) or not heading
        if not is_name or "Source:" in f"{heading} {item.description}":
            prose.append(heading)
    return prose


def test_no_section_of_a_docstring_swallows_prose():
    for path in MODULES:
        for name, docstring in docstrings(path).items():
            prose = prose_in_sections(docstring)
            where = f"{name_of(path)}, {name}"
            assert not prose, f"{where}: {prose} belongs before the first section"


@pytest.mark.parametrize("section", ["Parameters", "Returns", "Raises"])
def test_prose_after_a_section_would_be_seen(section):
    start = f"Summary.\n\n{section}\n{'-' * len(section)}\nx\n    What x is.\n"
    assert not prose_in_sections(start)
    assert prose_in_sections(f"{start}\nSource: ``eq-bleu`` (section 5.2); Post 2018.\n")


NAME = re.compile(r"`((?:utils|tools|benchmarks)(?:\.\w+)+)`")
PATH = re.compile(r"`((?:utils|tools|benchmarks|tests|notebooks)/[\w/.-]+\.\w+)`")


@cache
def names_in(path: Path) -> set[str]:
    """The names that a module defines."""
    nodes = ast.parse(path.read_text(encoding="utf-8")).body
    targets = [t for n in nodes if isinstance(n, ast.Assign) for t in n.targets]
    targets += [n.target for n in nodes if isinstance(n, ast.AnnAssign)]
    names = {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}
    return names | {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)}


def is_defined(name: str) -> bool:
    """Whether a dotted name is that of a module or package, or of something that one defines."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:length])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return length == len(parts) or parts[length] in names_in(file)
    return False


def test_names_and_paths_in_text_exist():
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        wrong = [name for name in NAME.findall(text) if not is_defined(name)]
        wrong += [name for name in PATH.findall(text) if not (ROOT / name).exists()]
        assert not wrong, f"{name_of(path)} names {', '.join(wrong)}, which do not exist"


def test_a_name_that_does_not_exist_is_seen():
    assert all(map(is_defined, ("utils", "utils.data", "utils.data.batches.pad", "tools.live")))
    assert not any(map(is_defined, ("utils.data.pad", "utils.batches", "tools.book_facts.none")))
