"""Colab's case: nothing but a notebook, torch and numpy already there, the book behind a git URL.

Every notebook is run to the end of its imports in an environment that has what the library asks for
and nothing else, and the quickest one is run whole; that needs no network, as `tests.helpers.colab`
stands in for pip. It is run with the real pip as well, where a package index can be reached.
"""

import importlib.metadata
import os
import shutil
import subprocess
import venv
from pathlib import Path

import nbformat
import pytest

from tests.helpers.colab import Environment, commit_library, copy_library, read_requirements
from tools.notebooks import execution_problems

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WHOLE = ROOT / "notebooks" / "08-4-after-pretraining.ipynb"
PREINSTALLED = ("torch", "numpy")
PRINT_VERSIONS = f"""
from importlib.metadata import version
print([version(name) for name in {PREINSTALLED}])
"""
EXECUTE = """
import sys
import nbclient, nbformat
notebook = nbformat.read(sys.argv[1], 4)
nbclient.NotebookClient(notebook, timeout=600).execute()
nbformat.write(notebook, sys.argv[1])
"""
# Run each notebook in a process and an empty folder of its own, named after it: all cells up to
# that of the knobs, then what imports something, or installs it where it is missing.
IMPORT = """
import ast, json, os, sys, traceback
import torch  # once, before the processes part

def trees(path):
    is_past_knobs = False
    for cell in json.load(open(path, encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            tree = ast.parse("".join(cell["source"]))
            if is_past_knobs:
                tree.body = [node for node in tree.body if is_about_imports(node)]
            yield tree
            is_past_knobs |= "knobs" in cell["metadata"].get("tags", [])

def is_about_imports(node):
    is_guard = isinstance(node, ast.If) and "find_spec(" in ast.unparse(node.test)
    return is_guard or isinstance(node, ast.Import | ast.ImportFrom)

def run(path, folder):
    os.makedirs(folder + "/packages")
    os.chdir(folder)
    log = os.open("log.txt", os.O_CREAT | os.O_WRONLY)
    os.dup2(log, 1), os.dup2(log, 2)
    os.environ["NEW_PACKAGES"] = folder + "/packages"
    sys.path.append(os.environ["NEW_PACKAGES"])
    namespace = {"__name__": "__main__"}
    for tree in trees(path):
        exec(compile(tree, path, "exec"), namespace)

for path in sys.argv[1:]:
    name = os.path.splitext(os.path.basename(path))[0]
    if os.fork() == 0:
        status = 1
        try:
            run(path, os.path.abspath(name))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    print(name, os.waitstatus_to_exitcode(os.wait()[1]))
"""

pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.skipif(os.name == "nt", reason="neither fork nor links without a privilege"),
]


def run(*command, **options):
    """Run a command, which must succeed; return what it prints."""
    words = [str(word) for word in command]
    result = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    output = f"{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    assert result.returncode == 0, f"{command}\n{output}"
    return result.stdout


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The library as it is installed: its packages, without the rest of the repository."""
    folder = tmp_path_factory.mktemp("library")
    copy_library(folder / "source")
    for name in ("utils", "book"):
        shutil.move(folder / "source" / name, folder / "built" / name)
    metadata = folder / "built" / "book-1.dist-info" / "METADATA"
    metadata.parent.mkdir()
    lines = [f"Requires-Dist: {requirement}\n" for requirement in read_requirements()]
    metadata.write_text("Metadata-Version: 2.1\nName: book\n" + "".join(lines), encoding="utf-8")
    return folder / "built"


@pytest.fixture(scope="module")
def imported(tmp_path_factory, library):
    """For each notebook, whether its imports succeeded, and what it wrote."""
    folder = tmp_path_factory.mktemp("imports")
    environment = Environment(folder / "env", read_requirements())
    environment.add_pip(library)
    result = environment.run(IMPORT, *NOTEBOOKS, folder=folder)
    assert result.returncode == 0, result.stderr
    codes = dict(line.split() for line in result.stdout.splitlines())
    return {name: (code, (folder / name / "log.txt").read_text()) for name, code in codes.items()}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_alone_has_or_installs_what_it_imports(imported, path):
    code, log = imported[path.stem]
    assert code == "0", log


@pytest.mark.slow
def test_a_notebook_alone_runs_to_its_end(tmp_path, library):
    words = ["ipykernel", "nbclient", "nbformat", *read_requirements()]
    environment = Environment(tmp_path / "env", words)
    environment.add_pip(library)
    folder = tmp_path / "alone"
    folder.mkdir()
    shutil.copy(WHOLE, folder)
    result = environment.run(EXECUTE, WHOLE.name, folder=folder)
    assert result.returncode == 0, result.stderr[-3000:]
    assert execution_problems(nbformat.read(folder / WHOLE.name, 4)) == []


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A fresh environment as Colab's: a kernel, torch and numpy, and nothing of the book."""
    folder = tmp_path_factory.mktemp("colab")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    # asked without pip's cache, which could serve this environment and not the notebook's own call
    probe = [python, "-m", "pip", "download", "-q", "--no-cache-dir", "--retries", "0", "--no-deps"]
    probe += ["-d", folder, "espeakng-loader"]
    result = subprocess.run(probe, capture_output=True, text=True, check=False)
    if "from versions: none" in result.stderr:  # the message of pip where no index answers
        pytest.skip("no package index can be reached: Colab's case was not tried with the real pip")
    # without the local label ("+cpu"), so that pip takes the build that suits this machine
    pinned = [f"{n}=={importlib.metadata.version(n).split('+')[0]}" for n in PREINSTALLED]
    run(python, "-m", "pip", "install", "-q", "ipykernel", "nbclient", *pinned)
    return python


@pytest.mark.slow
def test_with_the_real_pip_torch_and_numpy_stay_as_they_are(python, tmp_path):
    variables = commit_library(tmp_path / "repository")
    folder = tmp_path / "alone"
    folder.mkdir()
    before = run(python, "-c", PRINT_VERSIONS, cwd=folder)
    shutil.copy(WHOLE, folder)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | variables
    run(python, "-c", EXECUTE, WHOLE.name, cwd=folder, env=environment)
    assert run(python, "-c", PRINT_VERSIONS, cwd=folder) == before
    assert execution_problems(nbformat.read(folder / WHOLE.name, 4)) == []
    installed = run(python, "-m", "pip", "list", "--format", "freeze", cwd=folder)
    assert "llm-foundations-book" not in installed, "the library has a folder of its own"
