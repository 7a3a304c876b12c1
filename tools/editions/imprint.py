"""What an edition says of itself: title, authors, licence, and the commit that it was made from."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

from tools.editions.built_site import ROOT, BuiltSite, EditionError
from tools.repository import site_address


@dataclass(frozen=True)
class Imprint:
    """What the cover and the metadata say.

    Parameters
    ----------
    title, author, rights
        As in ``_config.yml``; the title as on the first page, in the language of the site.
    commit, date
        The commit that is checked out, and its day; "+" follows the commit if files have changed.
    address
        Of the repository.
    """

    title: str
    author: str
    rights: str
    commit: str
    date: str
    address: str


def read_imprint(site: BuiltSite, root: Path = ROOT) -> Imprint:
    """Read what an edition says of itself.

    Parameters
    ----------
    site
        The built site.
    root
        The folder of the book, with ``_config.yml`` and the history.

    Returns
    -------
    imprint : Imprint
        Title, authors, licence, commit and date.

    Raises
    ------
    EditionError
        If the folder is no checkout, so that commit and date are unknown.
    """
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    try:
        commit, date = _git(root, "log", "-1", "--format=%h %cs").split()
        changed = bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise EditionError(f"git knows no commit in {root}, which an edition names") from error
    return Imprint(
        title=site.pages[0].title,
        author=config["author"],
        rights=f"© {config['copyright']}",
        commit=commit + "+" * changed,
        date=date,
        address=site_address(),
    )


def _git(folder: Path, *arguments: str) -> str:
    """Return what git prints."""
    command = ["git", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def require_chinese_font() -> None:
    """Check that Chinese words will be words on paper.

    Raises
    ------
    EditionError
        If no font of this machine has Chinese characters.
    """
    if shutil.which("fc-list") is None:
        return  # not a machine that lists its fonts so: the tests look at the PDF
    fonts = subprocess.run(["fc-list", ":lang=zh"], capture_output=True, text=True, check=False)
    if not fonts.stdout.strip():
        raise EditionError("no font has Chinese characters: install one, such as fonts-noto-cjk")
