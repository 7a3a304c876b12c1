"""The Makefile sets up an environment with a new enough Python, and says if it is not tested."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = re.findall(
    r'Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8")
)  # that are tested, the oldest first
TOO_OLD, NEWER = "3.9", f"3.{int(VERSIONS[-1].split('.')[1]) + 1}"
PRETEND = """#!/bin/sh
case "$1" in
  --version) echo "Python {version}.0" ;;
  -c) code=$2; shift 2
      exec "{python}" -c "import sys; sys.version_info = ({numbers}, 0); $code" "$@" ;;
  -m) mkdir -p "$3" ;;
esac
"""

pytestmark = pytest.mark.skipif(
    os.name == "nt" or not shutil.which("make"), reason="there is no make here"
)


@pytest.fixture
def install(tmp_path):
    """`make install` with pretended interpreters in place of the machine's: {name: version}."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("awk", "find", "mkdir", "sed", "sh", "sort", "test", "touch", "true"):
        if path := shutil.which(name):
            (programs / name).symlink_to(path)

    def run(interpreters, *arguments):
        for name, version in interpreters.items():
            numbers = version.replace(".", ", ")
            text = PRETEND.format(version=version, numbers=numbers, python=sys.executable)
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        options = [f"VENV={tmp_path / 'env'}", "INSTALL=true", *arguments]
        result = subprocess.run(
            [shutil.which("make"), "install", *options],
            cwd=ROOT,
            env={"PATH": str(programs), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (tmp_path / "env" / ".ready").exists() == (result.returncode == 0)
        return result

    return run


@pytest.mark.parametrize("version", VERSIONS)
def test_a_tested_version_is_taken_without_a_word(install, version):
    result = install({"python3": version})
    assert result.returncode == 0, result.stderr
    assert "is tested on" not in result.stdout


def test_a_newer_version_is_taken_with_one_line(install):
    result = install({"python3": NEWER})
    assert result.returncode == 0, result.stderr
    (line,) = (line for line in result.stdout.splitlines() if "tested" in line)
    assert line == (
        f"This book is tested on Python {VERSIONS[0]} to {VERSIONS[-1]}, not on Python {NEWER}.0, "
        "which python3 is."
    )


def test_a_tested_version_is_preferred_to_a_newer_one(install):
    result = install({"python3": NEWER, f"python{VERSIONS[0]}": VERSIONS[0]})
    assert result.returncode == 0, result.stderr
    assert f"python{VERSIONS[0]} -m venv" in result.stdout
    assert "is tested on" not in result.stdout


def test_an_older_version_is_refused_by_name_and_not_found_by_itself(install):
    result = install({"python3": TOO_OLD})
    assert result.returncode != 0
    assert f"No Python {VERSIONS[0]} or newer found." in result.stdout
    result = install({}, "PYTHON=python3")
    assert result.returncode != 0
    assert f"needs Python {VERSIONS[0]} or newer; python3 is Python {TOO_OLD}.0" in result.stdout


def dry_run(*arguments):
    """What `make` would run."""
    return subprocess.run(
        [shutil.which("make"), "--dry-run", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("only", ["../notebooks", "02-1/..", "/", "..", ".", "02-1 /tmp"])
@pytest.mark.parametrize("target", ["notebooks", "execute"])
def test_no_folder_but_that_of_executed_copies_is_removed(target, only):
    result = dry_run(target, f"ONLY={only}")
    assert result.returncode != 0 and "rm -rf" not in result.stdout
    assert f'ONLY is "{only}": expected the beginning of a notebook\'s name' in result.stderr


@pytest.mark.parametrize("only, folder", [("02-1", "executed/02-1"), ("", "executed")])
def test_the_copies_of_some_notebooks_have_a_folder_of_their_own(only, folder):
    result = dry_run("notebooks", f"ONLY={only}")
    assert result.returncode == 0, result.stderr
    assert f"rm -rf {folder} && mkdir -p {folder} && cp notebooks/{only}*.ipynb" in result.stdout


def test_the_pinned_versions_suit_the_oldest_python():
    result = dry_run("constraints")
    assert f"--python-version {VERSIONS[0]} " in result.stdout
