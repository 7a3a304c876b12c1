"""Colab's case: nothing but a notebook, torch and numpy already there, the book behind a git URL.

A bare clone of this repository stands for the book's address: git is told to take the one for the
other, so the notebook is run as it is. What is tested is the last commit, not the working tree.
"""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import nbformat
import pytest

from tools import notebooks as care

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "notebooks" / "02-1-language-models.ipynb"
UNTOUCHED = ("torch", "numpy")

pytestmark = pytest.mark.timeout(1200)


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A fresh environment as Colab's: a kernel, torch and numpy, and nothing of the book."""
    folder = tmp_path_factory.mktemp("colab")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    # asked without pip's cache, which could serve this environment and not the notebook's own call
    probe = [python, "-m", "pip", "download", "-q", "--no-cache-dir", "--retries", "0", "--no-deps"]
    done = subprocess.run([*probe, "-d", folder, "espeakng-loader"], capture_output=True, text=True)
    if "from versions: none" in done.stderr:  # what pip says where no index answers
        pytest.skip("no package index can be reached: Colab's case was not tried")
    # without the local label ("+cpu"), so that pip takes the build that suits this machine
    wanted = [f"{n}=={importlib.metadata.version(n).split('+')[0]}" for n in UNTOUCHED]
    run(python, "-m", "pip", "install", "-q", "ipykernel", "nbclient", *wanted)
    return python


@pytest.fixture(scope="module")
def address_is_local(tmp_path_factory):
    """Environment variables that make git read a bare clone where the book's address is asked."""
    bare = tmp_path_factory.mktemp("remote") / "book.git"
    run("git", "clone", "--quiet", "--bare", ROOT, bare)
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{bare.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": care.address(),
    }


def test_a_notebook_alone_runs_and_leaves_torch_and_numpy_as_they_are(
    python, address_is_local, tmp_path
):
    def versions():
        code = "import importlib.metadata as m, json; print(json.dumps([m.version(n) for n in "
        return json.loads(run(python, "-c", code + f"{UNTOUCHED!r}]))", cwd=tmp_path))

    before = versions()
    shutil.copy(NOTEBOOK, tmp_path)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | address_is_local
    execute = "import nbformat, nbclient, sys; n = nbformat.read(sys.argv[1], 4); "
    execute += "nbclient.NotebookClient(n, timeout=600).execute(); nbformat.write(n, sys.argv[1])"
    run(python, "-c", execute, NOTEBOOK.name, cwd=tmp_path, env=environment)
    assert versions() == before
    assert care.problems(nbformat.read(tmp_path / NOTEBOOK.name, 4)) == []
    where = "import utils; print(utils.__file__)"
    assert "site-packages" in run(python, "-c", where, cwd=tmp_path)
    stored = "from utils import checks; print(sorted(checks.stored('characters')))"
    assert "duel" in run(python, "-c", stored, cwd=tmp_path), "benchmarks' results come along"


def test_installing_the_library_asks_for_no_version_of_torch_or_numpy():
    metadata = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert '"torch", "numpy",' in metadata, "a version here would replace Colab's"


@pytest.mark.parametrize("url", ["", "https://gitlab.com/a/b", "me/book", "https://github.com/a"])
def test_a_wrong_address_is_refused(url):
    command = [sys.executable, "tools/notebooks.py", "address", url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "expected https://github.com/OWNER/REPOSITORY" in done.stderr


def test_one_command_moves_the_book_to_another_address(tmp_path):
    files = run("git", "ls-files", cwd=ROOT).splitlines()
    for name in files:
        if (ROOT / name).exists():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    url = "https://github.com/someone-else/their-book"
    before = care.code_hash(nbformat.read(tmp_path / "notebooks" / NOTEBOOK.name, 4))
    run(sys.executable, "tools/notebooks.py", "address", url + ".git/", cwd=tmp_path)
    old = care.address().removeprefix("https://github.com/")
    kept = [n for n in files if old.encode() in (tmp_path / n).read_bytes()]
    assert kept == [], "these still carry the old address"
    moved = (tmp_path / "notebooks" / NOTEBOOK.name).read_text(encoding="utf-8")
    assert "someone-else/their-book" in moved and url in (tmp_path / "_config.yml").read_text()
    assert care.code_hash(nbformat.reads(moved, 4)) == before, "outputs still belong to the code"
