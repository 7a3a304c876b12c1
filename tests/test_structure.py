"""The library's structure: imports, size of modules, packaging, homes of names and of tests."""

import ast
import io
import re
import shutil
import subprocess
import sys
import tokenize
import zipfile
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.helpers.colab import copy_library

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
UTILS, BENCHMARKS, TOOLS = (ROOT / name for name in ("utils", "benchmarks", "tools"))
MODULES = sorted(path for path in UTILS.rglob("*.py") if "__pycache__" not in path.parts)
SOURCES = MODULES + sorted(
    path for folder in ("benchmarks", "tests", "tools") for path in (ROOT / folder).rglob("*.py")
)
# Lines of code in a module; docstrings, comments and blank lines do not count.
MAX_LINES_OF_CODE = 200
MAX_POSITIONAL = 3
# Functions with more: those of formulas whose arguments have one order everywhere, and callbacks.
MANY_POSITIONAL = {
    ("benchmarks.generation.equal_characters", "continue_passages"),
    ("benchmarks.translation_speed.tutorial_transformer", "forward"),
    ("utils.models.attention", "attention"),
    ("utils.models.attention", "fused_attention"),
    ("utils.models.checks", "check_call"),
    ("utils.notebook.relative_error", "compare"),
    ("utils.notebook.results", "report_results"),
}
TRAININGS = ("fit", "train_recognizer")  # functions that return the history of a training
NOT_CODE = (
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
)
# utils.PACKAGE.MODULE has tests/PACKAGE/test_MODULE.py; these share a file with others.
TEST_FILES = {
    "command/test_run": ("utils.training.__main__",),
    "data/standins/test_grammar": ("utils.data.standins.sampler",),
    "data/standins/test_languages": (
        "utils.data.standins.chinese",
        "utils.data.standins.english",
        "utils.data.standins.french",
        "utils.data.standins.german",
    ),
    "data/standins/test_standins": (
        "utils.data.standins.pairs",
        "utils.data.standins.spoken_digits",
        "utils.data.standins.texts",
    ),
    "data/test_corpora": (
        "utils.data.corpus_formats",
        "utils.data.examples",
    ),
    "data/test_download": ("utils.data.errors",),
    "data/test_tokenizers": ("utils.data.tokenizer_base",),
    "data/test_pair_batches": ("utils.data.labelled_batches",),
    "decoding/test_beam_search": ("utils.decoding.beam_config",),
    "models/test_states": ("utils.states",),
    "metrics/test_text": ("utils.metrics.sacrebleu_inputs",),
    "notebook/test_check": ("utils.notebook.relative_error",),
    "notebook/test_plotting": ("utils.notebook.fonts",),
    "notebook/claims/test_evaluation": (
        "utils.notebook.claims.arms",
        "utils.notebook.claims.claim",
    ),
    "speech/test_ctc_beam_search": ("utils.speech.ctc_prefixes", "utils.speech.shallow_fusion"),
    "training/test_distributed": (
        "utils.training.loss_module",
        "utils.training.sharding",
    ),
    "test_contract": ("utils.models.typed_module",),  # its types: contract_types.py
    "training/test_checkpoint": (
        "utils.training.model_description",
        "utils.training.training_run",
    ),
    "training/test_loop": ("utils.training.history", "utils.training.optimizer_step"),
    "training/test_objectives": ("utils.training.protocols",),
}
# They are for scores of text, downloads, tokenizers, speech and figures.
NOT_FOR_TRAINING = tuple(
    "espeakng_loader jiwer matplotlib pooch requests sacrebleu tokenizers".split()
)
# A module, one that it must not import, and the beginning of the contract's name.
FORBIDDEN_IMPORTS = [
    ("utils.models.attention", "utils.training.config", "Models know nothing"),
    ("utils.models.layers", "utils.decoding.greedy_search", "Models know nothing"),
    ("utils.training.loop", "utils.models.gpt", "Training knows no particular model"),
    ("utils.training.config", "utils.command.run", "Only python -m utils.training"),
    ("utils.training.config", "sacrebleu", "Training loads no package"),
    # indirectly, by the one shortest way: of several the linter reports any
    ("utils.data.batches", "utils.data.download", "Training loads no package"),
    ("utils.decoding.greedy_search", "utils.models.gpt", "Decoding knows no"),
    ("utils.decoding.model_state", "utils.training.loop", "Layers"),
    ("utils.speech.ctc", "utils.studies.scaling_runs", "Layers"),
    ("utils.studies.scaling_law", "utils.notebook.check", "Layers"),
    ("utils.notebook.check", "utils.runtime", "Checks and figures of notebooks"),
    ("utils.runtime", "utils.data.batches", "Layers"),
    ("utils.metrics.likelihood", "utils.runtime", "Layers"),
    ("utils.models.attention", "utils.models.gpt", "No circular imports"),
]


def name_of(path: Path) -> str:
    """The dotted name of a module: utils.data.batches, or utils.data for its __init__.py."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """What `make lint` runs, on the checkout in `root`."""
    code = (
        "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture(scope="module")
def broken_contracts(tmp_path_factory):
    """What the linter reports of a copy with all forbidden imports, by the contract's first line.

    The copy has a package without a layer, too.
    """
    copy = tmp_path_factory.mktemp("copy")
    shutil.copytree(UTILS, copy / "utils", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    for importer, imported, _ in FORBIDDEN_IMPORTS:
        path = copy / f"{importer.replace('.', '/')}.py"
        path.write_text(f"{path.read_text(encoding='utf-8')}\nimport {imported}\n", "utf-8")
    (copy / "utils" / "extras").mkdir()
    (copy / "utils" / "extras" / "__init__.py").write_text('"""Extras."""\n')
    result = lint_imports(copy)
    assert result.returncode == 1, result.stdout + result.stderr
    broken = result.stdout.partition("Broken contracts")[2]
    headings = re.split(r"^(\S.*\n(?:.+\n)?)-{3,}(?:\n-+)?\n", broken, flags=re.MULTILINE)
    return dict(zip(headings[1::2], headings[2::2], strict=True))


def test_imports_keep_the_contracts_of_pyproject():
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " 0 broken" in result.stdout


def test_each_forbidden_import_breaks_its_contract(broken_contracts):
    for importer, imported, contract in FORBIDDEN_IMPORTS:
        (text,) = (
            text for heading, text in broken_contracts.items() if heading.startswith(contract)
        )
        last_names = [name.rpartition(".")[-1] for name in (importer, imported)]
        reports = f"{importer} -> {imported} ", " -> ".join(f".{name}" for name in last_names)
        assert any(report in text for report in reports), (importer, imported, contract)


def test_a_new_package_needs_a_layer(broken_contracts):
    (text,) = (text for heading, text in broken_contracts.items() if heading.startswith("Layers"))
    assert "not listed as layers" in text and "utils.extras" in text


def test_a_folder_with_modules_is_a_package():
    folders = {path.parent for path in MODULES}
    assert all((folder / "__init__.py").exists() for folder in folders)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The library as it is built for an installation."""
    folder = tmp_path_factory.mktemp("wheel")
    copy_library(folder / "source")
    code = "from setuptools.build_meta import build_wheel; build_wheel('..')"
    build = [sys.executable, "-c", code]
    result = subprocess.run(
        build, cwd=folder / "source", capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    with zipfile.ZipFile(*folder.glob("*.whl")) as file:
        yield file


def test_the_built_library_has_every_file(wheel):
    files = [*MODULES, *UTILS.rglob("*.json"), UTILS / "py.typed"]
    expected = {path.relative_to(ROOT).as_posix() for path in files}
    results = (ROOT / "book" / "results").glob("*.json")
    expected |= {f"utils/notebook/stored_results/{path.name}" for path in results}
    models = (ROOT / "book" / "models").glob("*/*.*")
    expected |= {f"utils/models/stored_models/{path.parent.name}/{path.name}" for path in models}
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == expected
    assert {name.partition("/")[0] for name in names} == {"utils"}, "another name at the top level"


INSTALLED = """
import sys
sys.path.insert(0, sys.argv[1])
import utils
from utils.data.registry import registry
from utils.data.standins.pairs import make_pairs
from utils.models.stored import load_stored_model
from utils.notebook.results import load_results
assert registry()
assert make_pairs("de", "en", sizes=(1, 1, 1))
assert load_results("characters")["comparison"]
assert load_stored_model("gpt-pieces").facts["origin"] == "real"
print(utils.__file__)
"""


def test_the_installed_library_finds_its_data(wheel, tmp_path):
    """In a folder of packages, where no file of the checkout can be found."""
    wheel.extractall(tmp_path / "packages")
    result = subprocess.run(
        [sys.executable, "-I", "-c", INSTALLED, tmp_path / "packages"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert Path(result.stdout.strip()).is_relative_to(tmp_path)


def read_requirements(name: str = "requirements.txt") -> list[Requirement]:
    """What a file of requirements asks for, and the file that it names."""
    requirements = []
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("-r "):
            requirements += read_requirements(text.removeprefix("-r "))
        elif text:
            requirements.append(Requirement(text))
    return requirements


def names_in(requirements: list[Requirement]) -> set[str]:
    return {requirement.name.lower() for requirement in requirements}


def test_the_built_library_asks_for_what_one_file_names(wheel):
    """What Colab has installed it leaves as it is: nothing has an upper bound."""
    (metadata,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
    text = wheel.read(metadata).decode()
    required = re.findall(r"^Requires-Dist: (.+)$", text, re.MULTILINE)
    library = read_requirements("requirements-library.txt")
    assert [*map(Requirement, required)] == library
    unbounded = [requirement for requirement in library if not requirement.specifier]
    assert names_in(unbounded) == {"ipython"}
    operators = {bound.operator for requirement in library for bound in requirement.specifier}
    assert operators == {">="}


def test_each_bound_is_written_once():
    requirements = read_requirements()
    bounded = [requirement for requirement in requirements if requirement.specifier]
    assert names_in(bounded) == names_in(requirements), "a package without a bound"
    bounds = [(x.name, bound.operator) for x in bounded for bound in x.specifier]
    for (name, operator), number in Counter(bounds).items():
        has_markers = all(requirement.marker for requirement in bounded if requirement.name == name)
        assert number == 1 or has_markers, f"{name}{operator}"


def test_the_versions_of_python_are_those_of_pyproject():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    versions = [line.split(" :: ")[-1] for line in project["classifiers"]]
    assert project["requires-python"] == f">={versions[0]}"
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    assert re.findall(r'"(3\.\d+)"', re.search(r"python: \[(.+)\]", workflow)[1]) == versions
    (executing,) = re.findall(r"matrix\.python == '(.+?)' && 'test'", workflow)
    assert executing in versions, "no job would execute the notebooks"
    expected = f"{versions[0]} to {versions[-1]}"
    for name in ("README.md", "book/index.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert re.findall(r"\b3\.\d+ to 3\.\d+", text) == [expected], name
    chinese = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\b3\.\d+ 到 3\.\d+", chinese)) == {expected.replace("to", "到")}


def imported_packages(path: Path) -> set[str]:
    """The top-level packages that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def test_each_imported_package_is_declared():
    own = {"utils", "benchmarks", "tests", "tools"}
    distributions = packages_distributions()
    declared, library = (
        names_in(read_requirements(name))
        for name in ("requirements.txt", "requirements-library.txt")
    )
    for path in SOURCES:
        for package in imported_packages(path) - own - set(sys.stdlib_module_names):
            names = distributions.get(package, [package])
            names = {name.lower().replace("_", "-") for name in names}
            assert names & declared, f"{path} imports {package}: see requirements.txt"
            if path in MODULES:
                assert names & library, f"{path} imports {package}: see requirements-library.txt"


def test_the_version_is_one_and_the_same():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", citation, re.MULTILINE)[1] == project["version"]
    assert re.search(r"^## ([^, ]+)", changes, re.MULTILINE)[1] == project["version"]


def imported_modules(path: Path) -> set[str]:
    """The modules that a file imports, or starts in a process of their own."""
    names: set[str] = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {f"{node.module}"}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names |= {f"{name}.__main__" for name in re.findall(r"^utils\.\w+$", node.value)}
    return names


def test_no_circle_of_imports_in_benchmarks_and_tools():
    """Nor one that an import inside a function hides; `make lint` looks after utils."""
    paths = [*BENCHMARKS.rglob("*.py"), *TOOLS.rglob("*.py")]
    graph = {name_of(path): imported_modules(path) for path in paths}
    assert list(TopologicalSorter(graph).static_order())  # a circle raises CycleError


def test_a_module_has_tests_where_contributing_says():
    """In a file that imports it; one that it shares may import a module that does."""
    homes = {name: file for file, names in TEST_FILES.items() for name in names}
    modules = {name_of(path): path for path in MODULES if path.name != "__init__.py"}
    assert homes.keys() <= modules.keys(), "modules that do not exist"
    for name, path in modules.items():
        own = path.relative_to(UTILS).with_name(f"test_{path.stem}").as_posix()
        tests = ROOT / "tests" / f"{homes.get(name, own)}.py"
        assert tests.exists(), f"{name} has no tests in {tests.relative_to(ROOT)}"
        imported = imported_modules(tests)
        if name in homes:
            imported |= {
                inner
                for near in imported & modules.keys()
                for inner in imported_modules(modules[near])
            }
        assert name in imported, f"{tests.relative_to(ROOT)} does not import {name}"


def test_no_benchmark_stores_what_an_interrupted_training_left():
    for path in BENCHMARKS.rglob("*.py"):
        calls = [
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
        ]
        names = Counter(ast.unparse(call.func).split(".")[-1] for call in calls)
        trainings = sum(isinstance(c.func, ast.Name) and c.func.id in TRAININGS for c in calls)
        assert names["raise_if_interrupted"] >= trainings, path.relative_to(ROOT)


def test_a_benchmark_has_tests_of_its_name():
    """A module or a package of benchmarks; the tests of both are in one folder."""
    paths = [*BENCHMARKS.glob("*.py"), *(path.parent for path in BENCHMARKS.glob("*/__init__.py"))]
    files = {path.stem for path in (ROOT / "tests" / "benchmarks").glob("test_*.py")}
    assert {f"test_{path.stem}" for path in paths} - {"test___init__"} <= files


def lines_of_code(text: str) -> int:
    """The number of lines that hold code, not only a docstring or a comment."""
    documented = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NOT_CODE:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - documented)


def test_a_module_has_at_most_200_lines_of_code():
    for path in [*MODULES, *BENCHMARKS.rglob("*.py"), *TOOLS.rglob("*.py")]:
        lines = lines_of_code(path.read_text(encoding="utf-8"))
        assert lines <= MAX_LINES_OF_CODE, (
            f"{name_of(path)} has {lines} lines of code: move a subject to another module"
        )


def test_docstrings_comments_and_blank_lines_are_no_lines_of_code():
    text = '''"""A module.

Of two lines.
"""

# A comment.
WORDS = """one
two"""  # two lines of code
"""The docstring of a constant."""


def add(a: int, b: int) -> int:
    """Add numbers."""
    return (
        a + b  # a sum
    )
'''
    assert lines_of_code(text) == 2 + 4


def test_training_loads_no_package_that_it_does_not_need():
    """Each of its modules but `__main__`, in a fresh interpreter, whatever imports them."""
    names = [
        name_of(path)
        for path in MODULES
        if path.parent.name == "training" and path.name != "__main__.py"
    ]
    assert "utils.training.loop" in names
    code = (
        "import importlib, sys\n"
        f"for name in {names}:\n"
        "    importlib.import_module(name)\n"
        f"    loaded = sys.modules.keys() & set({NOT_FOR_TRAINING})\n"
        "    assert not loaded, f'importing {name} loads {sorted(loaded)}'\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_the_linter_forbids_training_what_the_fresh_interpreter_must_not_load():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    contracts = settings["importlinter"]["contracts"]
    (contract,) = (c for c in contracts if c["name"].startswith("Training loads no package"))
    assert sorted(contract["forbidden_modules"]) == sorted(NOT_FOR_TRAINING)


def test_a_module_has_a_docstring_and_a_package_nothing_else():
    for path in MODULES:
        tree = parse(path)
        assert ast.get_docstring(tree), path
        assert path.name != "__init__.py" or len(tree.body) == 1, path


def definitions(path: Path) -> set[str]:
    """The names that a module defines itself, not those that it imports."""
    names: set[str] = set()
    nodes: list[ast.AST] = list(parse(path).body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
            continue  # what is inside is not the module's
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        nodes += ast.iter_child_nodes(node)
    return names


DEFINITIONS = {name_of(path): definitions(path) for path in MODULES}


def wrong_imports(path: Path) -> list[str]:
    """Imports of utils that are relative, of everything, or not from where the name is defined."""
    wrong = []
    for node in ast.walk(parse(path)):
        if not isinstance(node, ast.ImportFrom):
            continue
        module = node.module or ""
        if node.level:
            wrong.append(f"line {node.lineno}: a relative import")
        elif module.partition(".")[0] == "utils":
            wrong += [
                f"line {node.lineno}: {module} does not define {alias.name}"
                for alias in node.names
                if f"{module}.{alias.name}" not in DEFINITIONS
                and alias.name not in DEFINITIONS.get(module, ())
            ]
    return wrong


def test_names_are_imported_from_where_they_are_defined():
    wrong = {name_of(path): wrong_imports(path) for path in SOURCES}
    assert not any(wrong.values()), {name: faults for name, faults in wrong.items() if faults}


def test_a_module_offers_no_name_of_another_one():
    """No `__all__`, and no `import x as x`, by which type checkers know a re-export."""
    for path in MODULES:
        for node in ast.walk(parse(path)):
            where = f"{name_of(path)}, line {getattr(node, 'lineno', 0)}"
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                for alias in node.names:
                    assert alias.name != "*", f"{where}: a wildcard import"
                    assert alias.asname != alias.name, f"{where}: a re-export"
            elif isinstance(node, ast.Name):
                assert node.id != "__all__", f"{where}: __all__"


def comments(path: Path) -> list[str]:
    with path.open("rb") as file:
        tokens = list(tokenize.tokenize(file.readline))
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


def test_the_rules_of_style_are_never_switched_off():
    for path in SOURCES:
        for comment in comments(path):
            assert not re.search(r"noqa|fmt: (skip|off)", comment), f"{name_of(path)}: {comment}"


def test_code_runs_as_a_package():
    for path in SOURCES:
        is_exempt = path.is_relative_to(ROOT / "tests") or path.name == "setup_cell.py"
        assert is_exempt or "sys.path.insert" not in path.read_text(encoding="utf-8"), path


def positional_arguments(path: Path) -> Iterator[tuple[str, int]]:
    """Each function that a module defines, and how many arguments a call may give without names."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.FunctionDef):
            names = [argument.arg for argument in node.args.posonlyargs + node.args.args]
            yield node.name, len([name for name in names if name not in ("self", "cls")])


def test_a_call_gives_at_most_three_arguments_without_their_names():
    """Of public functions of utils and of all functions of benchmarks; see MANY_POSITIONAL."""
    found = {
        (name_of(path), name)
        for path in [*MODULES, *BENCHMARKS.rglob("*.py")]
        for name, number in positional_arguments(path)
        if number > MAX_POSITIONAL and (path not in MODULES or not name.startswith("_"))
    }
    assert found == MANY_POSITIONAL, "arguments after the first obvious ones are keyword-only"
