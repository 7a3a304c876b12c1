"""Colab's case: nothing but a notebook, torch and numpy already there, the book behind a git URL.

A bare clone of this repository stands for the book's address: git is told to take the one for the
other, so the notebook is run as it is. What is tested is the last commit, not the working tree.
"""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import nbformat
import pytest

from tools.notebooks import code_hash, execution_problems, repository_address

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "02-1-language-models.ipynb"
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

pytestmark = pytest.mark.timeout(1200)


def run(*command, **options):
    """Run a command, which must succeed; return what it prints."""
    words = [str(word) for word in command]
    result = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    output = f"{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    assert result.returncode == 0, f"{command}\n{output}"
    return result.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A fresh environment as Colab's: a kernel, torch and numpy, and nothing of the book."""
    folder = tmp_path_factory.mktemp("colab")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    # asked without pip's cache, which could serve this environment and not the notebook's own call
    probe = [python, "-m", "pip", "download", "-q", "--no-cache-dir", "--retries", "0", "--no-deps"]
    probe += ["-d", folder, "espeakng-loader"]
    result = subprocess.run(probe, capture_output=True, text=True, check=False)
    if "from versions: none" in result.stderr:  # what pip says where no index answers
        pytest.skip("no package index can be reached: Colab's case was not tried")
    # without the local label ("+cpu"), so that pip takes the build that suits this machine
    pinned = [f"{n}=={importlib.metadata.version(n).split('+')[0]}" for n in PREINSTALLED]
    run(python, "-m", "pip", "install", "-q", "ipykernel", "nbclient", *pinned)
    return python


@pytest.fixture(scope="module")
def address_is_local(tmp_path_factory):
    """Environment variables that make git read a bare clone where the book's address is asked."""
    bare = tmp_path_factory.mktemp("remote") / "book.git"
    run("git", "clone", "--quiet", "--bare", ROOT, bare)
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{bare.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": repository_address(),
    }


def test_a_notebook_alone_runs_and_leaves_torch_and_numpy_as_they_are(
    python, address_is_local, tmp_path
):
    before = run(python, "-c", PRINT_VERSIONS, cwd=tmp_path)
    shutil.copy(NOTEBOOK, tmp_path)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | address_is_local
    run(python, "-c", EXECUTE, NOTEBOOK.name, cwd=tmp_path, env=environment)
    assert run(python, "-c", PRINT_VERSIONS, cwd=tmp_path) == before
    assert execution_problems(nbformat.read(tmp_path / NOTEBOOK.name, 4)) == []
    library = "import utils; print(utils.__file__)"
    assert "site-packages" in run(python, "-c", library, cwd=tmp_path)
    stored = "from utils.notebook import results; print(sorted(results.load_results('characters')))"
    assert "duel" in run(python, "-c", stored, cwd=tmp_path), "benchmarks' results come along"


def test_installing_the_library_asks_for_no_version_of_torch_or_numpy():
    metadata = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert '"torch", "numpy",' in metadata, "a version here would replace Colab's"


@pytest.mark.parametrize("url", ["", "https://gitlab.com/a/b", "me/book", "https://github.com/a"])
def test_a_wrong_address_is_refused(url):
    command = [sys.executable, "-m", "tools.notebooks", "address", url]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "expected https://github.com/OWNER/REPOSITORY" in result.stderr


def test_one_command_moves_the_book_to_another_address(tmp_path):
    tracked = run("git", "ls-files", cwd=ROOT).splitlines()
    files = [name for name in tracked if (ROOT / name).exists()]
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    url = "https://github.com/someone-else/their-book"
    before = code_hash(nbformat.read(tmp_path / "notebooks" / NOTEBOOK.name, 4))
    run(sys.executable, "-m", "tools.notebooks", "address", url + ".git/", cwd=tmp_path)
    old = repository_address().removeprefix("https://github.com/")
    unchanged = [name for name in files if old.encode() in (tmp_path / name).read_bytes()]
    assert unchanged == [], "these still carry the old address"
    moved = (tmp_path / "notebooks" / NOTEBOOK.name).read_text(encoding="utf-8")
    assert "someone-else/their-book" in moved and url in (tmp_path / "_config.yml").read_text()
    assert code_hash(nbformat.reads(moved, 4)) == before, "outputs still belong to the code"
