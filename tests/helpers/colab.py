"""Colab's case without a network: a fresh environment that has few packages, and not the book.

`Environment` links packages of the environment of the tests into one of its own. Its pip is a
stand-in: the book's library is copied from a folder, other packages are linked like the first ones.
`commit_library` makes the repository that the real pip can fetch the library from.
"""

import os
import shutil
import site
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from tools.repository import repository_address

ROOT = Path(__file__).resolve().parents[2]
FILES = ("pyproject.toml", "requirements-library.txt", "README.md", "LICENSE")
LIBRARY = (*FILES, "utils", "book/models", "book/results")
PIP = f"""
import os, re, shutil, subprocess, sys
from importlib import metadata
if "--target" in sys.argv:
    target = sys.argv[sys.argv.index("--target") + 1]
    shutil.copytree({{library!r}}, target, dirs_exist_ok=True)
    sys.exit()
missing = []
for word in sys.argv[2:]:
    name = re.match(r"[\\w.-]+", word)[0]
    try:
        word.startswith("-") or metadata.distribution(name)
    except metadata.PackageNotFoundError:
        missing.append(word)
if missing:
    folder = os.environ.get("NEW_PACKAGES", {{site_packages!r}})
    command = [{sys.executable!r}, "-m", "tests.helpers.colab", folder, *missing]
    subprocess.run(command, cwd={str(ROOT)!r}, check=True)
"""


def read_requirements():
    """What the library asks for."""
    text = (ROOT / "requirements-library.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if not line.startswith("#")]


def requirements(words):
    """The distributions that requirements and theirs ask for, as far as they are installed."""
    remaining, distributions = [(Requirement(word), {""}) for word in words], {}
    while remaining:
        requirement, extras = remaining.pop()
        marker = requirement.marker
        if marker and not any(marker.evaluate({"extra": extra}) for extra in extras):
            continue
        try:
            distribution = metadata.distribution(requirement.name)
        except metadata.PackageNotFoundError:
            continue
        key = (distribution.metadata["Name"], frozenset(requirement.extras))
        if key not in distributions:
            distributions[key] = distribution
            extras = requirement.extras | {""}
            remaining += [(Requirement(text), extras) for text in distribution.requires or ()]
    return list(distributions.values())


def link_packages(words, site_packages):
    """Put packages and what they ask for into a folder, by links."""
    for distribution in requirements(words):
        for name in {file.parts[0] for file in distribution.files or ()}:
            source, link = Path(distribution.locate_file(name)), Path(site_packages, name)
            if name not in ("..", "__pycache__") and source.exists() and not link.exists():
                link.symlink_to(source)


class Environment:
    """A virtual environment with the packages that `words` name and what they ask for."""

    def __init__(self, folder, words=()):
        venv.create(folder, with_pip=False)
        self.python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
        (found,) = [path for path in site.getsitepackages([str(folder)]) if "site-packages" in path]
        self.site_packages = Path(found)
        link_packages(words, self.site_packages)

    def add_pip(self, library):
        """Give it a pip that takes the book's library from a folder, and all else from here."""
        package = self.site_packages / "pip"
        package.mkdir()
        (package / "__init__.py").touch()
        text = PIP.format(library=str(library), site_packages=str(self.site_packages))
        (package / "__main__.py").write_text(text, encoding="utf-8")

    def run(self, code, *arguments, folder, **variables):
        """Run code in a folder; return the finished process."""
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        environment |= {"TMPDIR": str(folder), "MPLBACKEND": "agg"} | variables
        command = [str(self.python), "-c", code, *map(str, arguments)]
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )


def copy_library(folder):
    """Copy what the library is built from, as it is in the working tree."""
    for name in LIBRARY:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)


def commit_library(folder):
    """Commit the library to a repository; return variables that make git read it for the book's."""
    copy_library(folder)
    git = ["git", "-c", "user.name=book", "-c", "user.email=book@localhost"]
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "library"]):
        subprocess.run([*git, *words], cwd=folder, check=True)
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{folder.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": repository_address(),
    }


if __name__ == "__main__":
    link_packages(sys.argv[2:], sys.argv[1])
