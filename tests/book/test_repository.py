"""The address of the repository: a fork shows its own, and a command changes the committed one."""

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import yaml

from tools.notebooks import code_hash
from tools.repository import (
    VARIABLE,
    as_address,
    readdress_site,
    remote_address,
    repository_address,
    site_address,
)

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = "notebooks/02-1-language-models.ipynb"
FORK = "https://github.com/someone-else/their-book"
REMOTES = [
    f"{FORK}",
    f"{FORK}.git",
    f"{FORK}/",
    "https://name:secret@github.com/someone-else/their-book.git",
    "git@github.com:someone-else/their-book.git",
    "ssh://git@github.com/someone-else/their-book",
    "ssh://git@ssh.github.com:443/someone-else/their-book.git",
]
OTHER_URLS = [
    "",
    "me/book",
    "https://gitlab.com/a/b",
    "https://notgithub.com/a/b",
    "https://github.com/a",
    "https://github.com/a/b/tree/main",
    "/srv/git/book.git",
]

needs_git = pytest.mark.skipif(not shutil.which("git"), reason="there is no git here")


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with the book's configuration and no remote."""
    monkeypatch.delenv(VARIABLE, raising=False)
    folder = tmp_path / "book"
    folder.mkdir()
    shutil.copy(ROOT / "_config.yml", folder)
    git(folder, "init")
    return folder


def git(folder, *words):
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize("url", REMOTES)
def test_an_address_has_one_form(url):
    assert as_address(url) == FORK


@pytest.mark.parametrize("url", OTHER_URLS)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ValueError, match=r"expected https://github.*OWNER/REPOSITORY"):
        as_address(url)


@needs_git
@pytest.mark.parametrize("url", REMOTES)
def test_a_fork_shows_its_own_address(checkout, url):
    git(checkout, "remote", "add", "upstream", "https://gitlab.com/a/b")
    git(checkout, "remote", "add", "origin", url)
    assert remote_address(checkout) == site_address(checkout) == FORK


@needs_git
@pytest.mark.parametrize("url", ["https://gitlab.com/a/b.git", "/srv/git/book.git", None])
def test_without_a_remote_on_github_the_committed_address_is_shown(checkout, url):
    if url:
        git(checkout, "remote", "add", "origin", url)
    assert remote_address(checkout) is None
    assert site_address(checkout) == repository_address(checkout) == repository_address()


@needs_git
def test_the_remote_is_asked_only_of_the_books_own_checkout(checkout, monkeypatch):
    git(checkout, "remote", "add", "origin", FORK)
    inner = checkout / "inner"
    inner.mkdir()
    shutil.copy(ROOT / "_config.yml", inner)
    assert remote_address(inner) is None, "that is the remote of another repository"
    monkeypatch.setenv("PATH", "")
    assert site_address(checkout) == repository_address(), "there is no git"


@needs_git
def test_the_environment_comes_first(checkout, monkeypatch):
    git(checkout, "remote", "add", "origin", "https://github.com/a/b")
    monkeypatch.setenv(VARIABLE, FORK)
    assert site_address(checkout) == FORK
    monkeypatch.setenv(VARIABLE, "their-book")
    with pytest.raises(ValueError, match="'their-book' is not an address"):
        site_address(checkout)


def test_the_workflow_that_publishes_sets_a_variable_that_is_read():
    path = ROOT / ".github" / "workflows" / "publish.yml"
    steps = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]["build"]["steps"]
    (step,) = [step for step in steps if "make book" in step.get("run", "")]
    assert step["env"].keys() == {VARIABLE}


def test_every_file_of_the_site_shows_the_address(tmp_path):
    old = repository_address()
    slug = old.removeprefix("https://github.com/")
    texts = {
        "notebooks/a.html": f'<a href="https://mybinder.org/v2/gh/{slug}/main?urlpath=a.ipynb">',
        "index.html": f"<a href='{old}/issues'>",
        "_sources/notebooks/a.ipynb": f'REPOSITORY = "{old}"',
        "_static/preview-texts.js": f"window.previewTexts = '{old}'",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    builder, config = SimpleNamespace(format="html"), SimpleNamespace(book_repository=FORK)
    app = SimpleNamespace(outdir=tmp_path, builder=builder, config=config)
    readdress_site(app, RuntimeError("the build failed"))
    assert (tmp_path / "index.html").read_text() == texts["index.html"]
    readdress_site(app, None)
    for name, text in texts.items():
        assert (tmp_path / name).read_text() == text.replace(slug, "someone-else/their-book")


@pytest.mark.parametrize("url", OTHER_URLS)
def test_the_command_refuses_what_is_no_address(url):
    command = [sys.executable, "-m", "tools.repository", url]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "expected https://github.com/OWNER/REPOSITORY" in result.stderr.strip().splitlines()[-1]


@needs_git
def test_one_command_moves_the_book_to_another_address(tmp_path):
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.check_output(command, cwd=ROOT, text=True).splitlines()
    files = [name for name in listed if (ROOT / name).is_file()]
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    before = code_hash(nbformat.read(tmp_path / NOTEBOOK, 4))
    command = [sys.executable, "-m", "tools.repository", f"{FORK}.git/"]
    subprocess.run(command, cwd=tmp_path, check=True)
    old = repository_address().removeprefix("https://github.com/")
    unchanged = [name for name in files if old.encode() in (tmp_path / name).read_bytes()]
    assert unchanged == [], "these still carry the old address"
    moved = (tmp_path / NOTEBOOK).read_text(encoding="utf-8")
    assert "someone-else/their-book" in moved and FORK in (tmp_path / "_config.yml").read_text()
    assert code_hash(nbformat.reads(moved, 4)) == before, "outputs still belong to the code"
