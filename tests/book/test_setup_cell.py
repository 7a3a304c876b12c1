"""The setup cell finds the book's library, whatever else is called utils on a reader's machine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.helpers.colab import Environment, commit_library, read_requirements
from tools.notebooks import STAMP, code_hash, setup_code, write_setup_cells

ROOT = Path(__file__).resolve().parents[2]
FOREIGN = 'name = "foreign"\n'
REPORT = """
import utils, utils.notebook
print("library", utils.__file__, utils.notebook.__file__, sep="|")
"""
# What else has the name, each as code to run before the cell, in a folder with `foreign` in it.
OTHERS = {
    "none": "",
    "a file beside the notebook": "",
    "a folder beside the notebook": "",
    "a folder without modules beside the notebook": "",
    "a package of site-packages": "import sys; sys.path.append('foreign')",
    "a module that was imported": "import sys; sys.path[:0] = ['foreign']; import utils.notebook",
    "another version of the book": "import sys; sys.path[:0] = ['old']; import utils.notebook",
    "a module made by hand": "import sys, types; sys.modules['utils'] = types.ModuleType('utils')",
    "an import that is blocked": "import sys; sys.modules['utils'] = None",
}
# A finder that stands before the one of sys.path, and knows the name `utils`.
FINDER = """
import sys
from importlib.machinery import PathFinder
class Finder:
    def find_spec(self, name, path=None, target=None):
        return PathFinder.find_spec(name, ['foreign']) if name == 'utils' else None
sys.meta_path.insert(0, Finder())
"""


def put_package(folder):
    """A package of the same name, with a module whose name the book's library has too."""
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(FOREIGN)
    (folder / "notebook.py").write_text(FOREIGN)


def put_others(other, folder):
    """Put into a folder what `other` names."""
    put_package(folder / "foreign" / "utils")
    put_library(folder / "old")
    if other == "a file beside the notebook":
        (folder / "utils.py").write_text(FOREIGN)
    elif other == "a folder beside the notebook":
        put_package(folder / "utils")
    elif other == "a folder without modules beside the notebook":
        (folder / "utils").mkdir()


def put_library(folder):
    """The part of the book's library that is imported here."""
    for name in ("__init__.py", "notebook/__init__.py", "notebook/check.py"):
        (folder / "utils" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "utils" / name, folder / "utils" / name)


def put_metadata(folder, text):
    """The metadata of a distribution."""
    name = text.split()[1]
    (folder / f"{name}-1.dist-info").mkdir()
    (folder / f"{name}-1.dist-info" / "METADATA").write_text(text)


def assert_found(result, root, other):
    """The library of `root` is imported, and one line reports it if there was another package."""
    assert result.returncode == 0, result.stderr
    *messages, report = result.stdout.splitlines()
    folder = root / "utils"
    files = [str(folder / "__init__.py"), str(folder / "notebook" / "__init__.py")]
    assert report.split("|")[1:] == files
    assert len(messages) == (other not in ("none", "an import that is blocked")), messages
    assert all(str(root) in line and "utils" in line for line in messages)


def run_in_a_checkout(root, other, preparation):
    """The finished process of the setup cell in a checkout, after code that prepares it."""
    folder = root / "notebooks"
    folder.mkdir(parents=True)
    put_library(root)
    put_others(other, folder)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-c", f"{preparation}\n{setup_code()}\n{REPORT}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("other", OTHERS)
def test_in_a_checkout_its_own_library_is_found(tmp_path, other):
    root = tmp_path.resolve() / "book"
    assert_found(run_in_a_checkout(root, other, OTHERS[other]), root, other)


@pytest.mark.parametrize("is_imported", [False, True])
def test_a_finder_that_stands_first_is_an_error_with_advice(tmp_path, is_imported):
    root = tmp_path.resolve() / "book"
    preparation = f"{FINDER}\nimport utils" if is_imported else FINDER
    result = run_in_a_checkout(root, "none", preparation)
    assert result.returncode == 1 and result.stdout == ""
    *_, line = result.stderr.splitlines()
    found = Path("foreign", "utils", "__init__.py")
    assert line.startswith("ImportError: utils is ") and str(found) in line
    assert f"not the book's library in {root}: restart the kernel" in line


@pytest.mark.parametrize("other", OTHERS)
def test_alone_the_library_is_fetched_into_a_folder_of_its_own(tmp_path, other):
    library, folder = tmp_path.resolve() / "library", tmp_path.resolve() / "alone"
    folder.mkdir()
    put_library(library)
    put_metadata(library, "Name: book\nRequires-Dist: torch\n")
    environment = Environment(tmp_path / "env")
    environment.add_pip(library)
    put_metadata(environment.site_packages, "Name: torch\n")
    put_others(other, folder)
    code = f"{OTHERS[other]}\n{setup_code()}\n{REPORT}"
    result = environment.run(code, folder=folder)
    (root,) = folder.glob("llm-foundations-book-*")
    assert_found(result, root, other)


def test_run_again_it_keeps_what_was_imported(tmp_path):
    put_library(tmp_path)
    code = f"{setup_code()}\nimport utils\nbefore = utils\n{setup_code()}\nimport utils\n"
    run = [sys.executable, "-c", f"{code}print(utils is before)"]
    assert subprocess.check_output(run, cwd=tmp_path, text=True) == "True\n"


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
@pytest.mark.skipif(not shutil.which("git"), reason="there is no git here")
def test_the_real_pip_changes_nothing_that_is_installed(tmp_path):
    """Without a network: pip may reach no index, and builds with the setuptools at hand."""
    environment = Environment(tmp_path / "env", ["pip", "setuptools>=77", *read_requirements()])
    foreign = environment.site_packages / "utils"
    put_package(foreign)
    installed = {path.name for path in environment.site_packages.iterdir()}
    variables = commit_library(tmp_path / "repository")
    variables |= {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_CONFIG_FILE": os.devnull}
    (tmp_path / "alone").mkdir()
    stored = "from utils.notebook.results import load_results\nprint(*load_results('characters'))\n"
    code = f"{setup_code()}\n{stored}{REPORT}"
    result = environment.run(code, folder=tmp_path / "alone", **variables)
    assert result.returncode == 0, result.stderr
    messages, results, report = result.stdout.splitlines()
    assert str(foreign / "__init__.py") in messages
    assert "comparison" in results, "benchmarks' results come along"
    assert "site-packages" not in report
    assert {path.name for path in environment.site_packages.iterdir()} == installed
    assert (foreign / "__init__.py").read_text() == FOREIGN


def test_the_tool_writes_the_cell_and_keeps_outputs_and_stamp(tmp_path):
    v4 = nbformat.v4
    outputs = [v4.new_output("stream", text="kept\n")]
    cells = [v4.new_code_cell("import sys", outputs=outputs), v4.new_code_cell("x = 1")]
    notebook = v4.new_notebook(cells=cells)
    for name, stamp in (("own", code_hash(notebook)), ("other", "0")):
        notebook.metadata[STAMP] = stamp
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    write_setup_cells(tmp_path)
    own, other = (nbformat.read(tmp_path / f"{name}.ipynb", 4) for name in ("own", "other"))
    assert own.cells[0].source == setup_code() and own.cells[0].outputs == outputs
    assert own.cells[1].source == "x = 1"
    assert own.metadata[STAMP] == code_hash(own) and other.metadata[STAMP] == "0"
