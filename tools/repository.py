"""The address of the book's repository: the committed one, and that of the copy at hand.

``_config.yml`` holds the committed address, and files repeat it: badges, setup cells, the README.
``python -m tools.repository URL`` (``make address``) replaces it in all of them.

A fork commits nothing: as a Sphinx extension, this module writes the address of the repository that
the site is built from into every built page, in badges, buttons, links and downloads. That address
is the environment variable ``LLM_BOOK_REPOSITORY``, which the publishing workflow sets, else the
remote of the checkout if it is on GitHub, else the committed one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from tools.translation.site import CHINESE_SITE
from utils.console import make_output_safe

ROOT = Path(__file__).resolve().parents[1]
GITHUB = "https://github.com/"
VARIABLE = "LLM_BOOK_REPOSITORY"
REMOTE = re.compile(  # https://…, with or without a user; git@github.com:…; ssh://git@…
    r"(?:https?://|ssh://|git://)?(?:[^@/]+@)?(?:www\.|ssh\.)?github\.com(?::\d+)?[:/]"
    r"([\w.-]+/[\w.-]+?)(?:\.git)?/?"
)
FILES_WITH_ADDRESS = (
    "_config.yml",
    "*.md",
    "*.cff",
    "*.toml",
    "book/*.md",
    "notebooks/*.ipynb",
    "locale/**/*.po",
    "tools/setup_cell.py",
)
BUILT_FILES_WITH_ADDRESS = ("**/*.html", "_static/preview-texts.js", "_sources/**/*")


def repository_address(root: Path = ROOT) -> str:
    """Return the committed address, which ``_config.yml`` holds."""
    config = (root / "_config.yml").read_text(encoding="utf-8")
    match = re.search(r"^repository:\n  url: (\S+)$", config, re.MULTILINE)
    assert match, "_config.yml has no repository.url"
    return match[1]


def as_address(url: str) -> str:
    """Bring an address of a repository on GitHub into its standard form.

    Parameters
    ----------
    url
        As a browser or git knows it.

    Returns
    -------
    address : str
        ``https://github.com/OWNER/REPOSITORY``.

    Raises
    ------
    ValueError
        If `url` is not the address of a repository on GitHub.
    """
    match = REMOTE.fullmatch(url.strip())
    if not match:
        raise ValueError(f"{url!r} is not an address; expected {GITHUB}OWNER/REPOSITORY")
    return GITHUB + match[1]


def remote_address(root: Path = ROOT) -> str | None:
    """Return the address of a checkout's remote "origin", or else of its first remote.

    Parameters
    ----------
    root
        The top folder of the checkout.

    Returns
    -------
    address : str or None
        None without git, a checkout of its own, or a remote on GitHub.
    """

    def git(*arguments: str) -> str:
        command = ["git", *arguments]
        run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        return run.stdout.strip() if run.returncode == 0 else ""

    try:
        if git("rev-parse", "--show-prefix"):  # a folder of another repository
            return None
        remotes = sorted(git("remote").splitlines(), key=lambda name: name != "origin")
        return as_address(git("remote", "get-url", remotes[0])) if remotes else None
    except (OSError, ValueError):
        return None


def site_address(root: Path = ROOT) -> str:
    """Return the address that the site shows.

    Parameters
    ----------
    root
        The folder of the book.

    Returns
    -------
    address : str
        From the environment, the remote or ``_config.yml``, in this order.

    Raises
    ------
    ValueError
        If the environment variable is set and is not an address.
    """
    if url := os.environ.get(VARIABLE):
        return as_address(url)
    return remote_address(root) or repository_address(root)


def readdress_site(app: Sphinx, error: Exception | None) -> None:
    """Replace the committed address in the built pages and in the notebooks beside them.

    Parameters
    ----------
    app
        The build that ends.
    error
        What ended it early, if anything did: then nothing is replaced.
    """
    old, new = repository_address(), app.config.book_repository
    if error or app.builder.format != "html" or old == new:
        return
    for pattern in BUILT_FILES_WITH_ADDRESS:
        for path in Path(app.outdir).glob(pattern):
            if path.is_file() and CHINESE_SITE.name not in path.relative_to(app.outdir).parts[:1]:
                replace_address(path, old, new)


def replace_address(path: Path, old: str, new: str) -> int:
    """Replace an address in a file, wherever OWNER/REPOSITORY stands.

    Parameters
    ----------
    path
        A text file.
    old, new
        Addresses of repositories on GitHub.

    Returns
    -------
    count : int
        How often it was replaced.
    """
    before, after = old.removeprefix(GITHUB), new.removeprefix(GITHUB)
    text = path.read_text(encoding="utf-8")
    if before in text:
        path.write_text(text.replace(before, after), encoding="utf-8")
    return text.count(before)


def move_repository(url: str) -> None:
    """Replace the committed address by `url`, in every file that contains it.

    Raises
    ------
    SystemExit
        If `url` is not the address of a repository on GitHub.
    """
    try:
        new = as_address(url)
    except ValueError as error:
        sys.exit(str(error))
    old = repository_address()
    for pattern in FILES_WITH_ADDRESS:
        for path in sorted(ROOT.glob(pattern)):
            if count := replace_address(path, old, new):
                print(f"{path.relative_to(ROOT)}: {count}")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the address, whose change rewrites every page, and its step of the build."""
    app.add_config_value("book_repository", site_address(), "html", str)
    app.connect("build-finished", readdress_site, priority=900)  # after the previews
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    make_output_safe()
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    move_repository(sys.argv[1])
