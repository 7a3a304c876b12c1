"""The library's structure: imports, size of modules, packaging, homes of names and of tests."""

import ast
import re
import shutil
import subprocess
import sys
import tokenize
import zipfile
from collections import Counter
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
UTILS, BENCHMARKS = ROOT / "utils", ROOT / "benchmarks"
MODULES = sorted(path for path in UTILS.rglob("*.py") if "__pycache__" not in path.parts)
SOURCES = MODULES + sorted(
    path for folder in ("benchmarks", "tests", "tools") for path in (ROOT / folder).rglob("*.py")
)
MAX_LINES = 300
# utils.PACKAGE.MODULE has tests/PACKAGE/test_MODULE.py; these share a file with others.
TEST_FILES = {
    "command/test_command": (
        "utils.command.catalogue",
        "utils.command.job",
        "utils.command.parser",
        "utils.command.training_data",
    ),
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
        "utils.data.corpus",
        "utils.data.readers",
    ),
    "data/test_tokenizers": ("utils.data.tokenizer_base",),
    "data/test_pair_batches": (
        "utils.data.grouped_batches",
        "utils.data.labelled_batches",
    ),
    "decoding/test_sampling": ("utils.decoding.filters",),
    "models/test_transformer": ("utils.models.transformer_stack",),
    "metrics/test_metrics": (
        "utils.metrics.calibration",
        "utils.metrics.cost",
        "utils.metrics.likelihood",
        "utils.metrics.significance",
        "utils.metrics.text",
    ),
    "models/test_ngram": ("utils.models.ngram_estimates",),
    "models/test_ngram_counts": ("utils.models.ngram_texts",),
    "notebook/test_check": ("utils.notebook.agreement",),
    "notebook/test_claims": (
        "utils.notebook.arms",
        "utils.notebook.claim_evidence",
        "utils.notebook.item_tests",
        "utils.notebook.seed_tests",
    ),
    "speech/test_ctc_search": ("utils.speech.shallow_fusion",),
    "training/test_distributed": (
        "utils.training.loss_module",
        "utils.training.sharding",
    ),
    "training/test_loop": ("utils.training.validation",),
    "training/test_resuming": ("utils.training.state",),
}
# They are for scores of text, downloads, tokenizers, speech and figures.
NOT_FOR_TRAINING = tuple(
    "espeakng_loader jiwer matplotlib pooch requests sacrebleu tokenizers".split()
)
FORBIDDEN_IMPORTS = [  # module of utils, an import that breaks a contract, the contract's name
    ("models/attention.py", "from utils.training.config import TrainConfig", "Models know nothing"),
    ("models/layers.py", "import utils.decoding.search", "Models know nothing"),
    ("training/loop.py", "from utils.models import gpt", "Training knows no particular model"),
    ("training/config.py", "import utils.command.run", "Only python -m utils.training"),
    ("training/config.py", "import sacrebleu", "Training loads no package"),
    ("data/batches.py", "import utils.data.corpora", "Training loads no package"),  # indirectly
    ("decoding/search.py", "from utils.models.gpt import GPT", "Decoding knows models"),
    ("decoding/state.py", "import utils.training.loop", "Layers"),
    ("speech/ctc.py", "import utils.studies.scaling_runs", "Layers"),
    ("studies/scaling_law.py", "import utils.notebook.check", "Layers"),
    ("notebook/check.py", "import utils.runtime", "Checks and figures of notebooks"),
    ("runtime.py", "import utils.data.batches", "Layers"),
    ("metrics/likelihood.py", "import utils.runtime", "Layers"),
    ("models/attention.py", "import utils.models.gpt", "No circular imports"),
]


def name_of(path: Path) -> str:
    """The dotted name of a module: utils.data.batches, or utils.data for its __init__.py."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


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


@pytest.fixture
def copy(tmp_path):
    """A copy of the library with its declaration, to be broken."""
    shutil.copytree(UTILS, tmp_path / "utils", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_keep_the_contracts_of_pyproject():
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " 0 broken" in result.stdout


@pytest.mark.parametrize("module, line, contract", FORBIDDEN_IMPORTS)
def test_a_forbidden_import_breaks_its_contract(copy, module, line, contract):
    with (copy / "utils" / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    result = lint_imports(copy)
    broken = result.stdout.partition("Broken contracts")[2]
    assert result.returncode == 1 and contract in broken, result.stdout + result.stderr


def test_a_new_package_needs_a_layer(copy):
    (copy / "utils" / "extras").mkdir()
    (copy / "utils" / "extras" / "__init__.py").write_text('"""Extras."""\n')
    result = lint_imports(copy)
    assert result.returncode == 1 and "extras" in result.stdout, result.stdout + result.stderr


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
    data = [*UTILS.rglob("*.json"), *(ROOT / "book" / "results").glob("*.json"), UTILS / "py.typed"]
    expected = {path.relative_to(ROOT).as_posix() for path in [*MODULES, *data]}
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == expected


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
    """What Colab has installed it leaves as it is: it names these packages without a bound."""
    (metadata,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
    text = wheel.read(metadata).decode()
    required = re.findall(r"^Requires-Dist: (.+)$", text, re.MULTILINE)
    library = read_requirements("requirements-library.txt")
    assert [*map(Requirement, required)] == library
    unbounded = [requirement for requirement in library if not requirement.specifier]
    assert names_in(unbounded) == {"torch", "numpy", "ipython"}


def test_each_bound_is_written_once():
    requirements = read_requirements()
    bounded = [requirement for requirement in requirements if requirement.specifier]
    assert names_in(bounded) == names_in(requirements), "a package without a bound"
    for name, number in Counter(requirement.name for requirement in bounded).items():
        has_markers = all(requirement.marker for requirement in bounded if requirement.name == name)
        assert number == 1 or has_markers, name


def test_the_versions_of_python_are_those_of_pyproject():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    versions = [line.split(" :: ")[-1] for line in project["classifiers"]]
    assert project["requires-python"] == f">={versions[0]}"
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    assert re.findall(r'"(3\.\d+)"', re.search(r"python: \[(.+)\]", workflow)[1]) == versions
    expected = f"{versions[0]} to {versions[-1]}"
    for name in ("README.md", "book/index.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert re.findall(r"\b3\.\d+ to 3\.\d+", text) == [expected], name


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


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_has_tests_where_contributing_says(path):
    homes = [file for file, modules in TEST_FILES.items() if name_of(path) in modules]
    (home,) = homes or [path.relative_to(UTILS).with_name(f"test_{path.stem}")]
    assert path.name == "__init__.py" or (ROOT / "tests" / f"{home}.py").exists()


def test_a_benchmark_has_tests_of_its_name():
    """A module or a package of benchmarks; the tests of both are in one folder."""
    paths = [*BENCHMARKS.glob("*.py"), *(path.parent for path in BENCHMARKS.glob("*/__init__.py"))]
    files = {path.stem for path in (ROOT / "tests" / "benchmarks").glob("test_*.py")}
    assert {f"test_{path.stem}" for path in paths} - {"test___init__"} <= files


@pytest.mark.parametrize("path", [*MODULES, *sorted(BENCHMARKS.rglob("*.py"))], ids=name_of)
def test_a_module_has_at_most_300_lines(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{lines} lines: give one of its subjects a module of its own"


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


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.name == "__init__.py"], ids=name_of
)
def test_a_package_begins_with_a_docstring_and_nothing_else(path):
    tree = parse(path)
    assert ast.get_docstring(tree) and len(tree.body) == 1


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_what_it_is_for(path):
    assert ast.get_docstring(parse(path))


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


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_names_are_imported_from_where_they_are_defined(path):
    assert not wrong_imports(path)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_offers_no_name_of_another_one(path):
    """No `__all__`, and no `import x as x`, by which type checkers know a re-export."""
    for node in ast.walk(parse(path)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                assert alias.name != "*", f"line {node.lineno}: a wildcard import"
                assert alias.asname != alias.name, f"line {node.lineno}: a re-export"
        elif isinstance(node, ast.Name):
            assert node.id != "__all__", f"line {node.lineno}: __all__"


def comments(path: Path) -> list[str]:
    with path.open("rb") as file:
        tokens = list(tokenize.tokenize(file.readline))
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_the_rules_of_style_are_never_switched_off(path):
    for comment in comments(path):
        assert not re.search(r"noqa|fmt: (skip|off)", comment), comment


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if not p.is_relative_to(ROOT / "tests")], ids=name_of
)
def test_code_runs_as_a_package(path):
    text = path.read_text(encoding="utf-8")
    assert "sys.path.insert" not in text or path.name == "setup_cell.py"  # it runs in a notebook


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")))
def test_a_workflow_names_its_actions_by_commit(path):
    """A tag may be moved to other code; the comment says which version the commit is."""
    actions = re.findall(r"uses: (.+)", path.read_text(encoding="utf-8"))
    pinned = re.compile(r"[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+")
    assert actions and all(pinned.fullmatch(action) for action in actions)
