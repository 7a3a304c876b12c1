"""The registry of the corpora's files, and the check of a file against it.

``registry.json``, next to this module, lists each corpus with its homepage, its licence and its
files: for each file a path, a URL, a size in bytes and a SHA-256 hash. A file is checked each time
before it is used.
"""

from __future__ import annotations

import hashlib
import json
import stat
from functools import cache
from pathlib import Path
from typing import TypedDict

import pooch

from utils.data.corpus_formats import read_wav_archive
from utils.data.errors import DataError

MISSING = "it is missing"


class _FileLocation(TypedDict):
    """The part of a file's entry that every file has."""

    path: str  # relative to a folder of corpora
    url: str
    bytes: int


class FileEntry(_FileLocation, total=False):
    """One file of a corpus: its path, URL and size, and one of the two hashes."""

    sha256: str
    content_sha256: str  # of an archive that the server repacks: only its content is stable


class CorpusEntry(TypedDict):
    """One corpus of the registry."""

    homepage: str
    licence: str
    files: list[FileEntry]


@cache
def registry() -> dict[str, CorpusEntry]:
    """Return the entries of all corpora by name."""
    text = (Path(__file__).parent / "registry.json").read_text(encoding="utf-8")
    entries: dict[str, CorpusEntry] = json.loads(text)
    return entries


def file_problem(path: Path, entry: FileEntry) -> str | None:
    """Check a file against its entry in the registry.

    Parameters
    ----------
    path
        The file to check.
    entry
        The entry of the registry for it.

    Returns
    -------
    problem : str or None
        How the file differs from its entry, or why it cannot be read; MISSING if there is nothing
        at `path`; None if the file is correct.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "it is not a file"
        with path.open("rb"):  # is reading allowed?
            return _content_problem(path, entry)
    except FileNotFoundError:
        return _broken_link(path) or MISSING
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"


def _broken_link(path: Path) -> str | None:
    """Name the broken link in the path of a file; None if there is none."""
    for part in (path, *path.parents):
        if part.is_symlink() and not part.exists():
            return f"{part} is a broken link"
    return None


def _content_problem(path: Path, entry: FileEntry) -> str | None:
    """Return the difference between the content of a file and its entry; None if there is none."""
    if "content_sha256" in entry:
        expected, actual = entry["content_sha256"], _content_sha256(path)
        return None if actual == expected else f"expected content {expected}, found {actual}"
    size = path.stat().st_size
    if size != entry["bytes"]:
        return f"expected {entry['bytes']} bytes, found {size}"
    expected, actual = entry["sha256"], pooch.file_hash(str(path))
    return None if actual == expected else f"expected SHA-256 {expected}, found {actual}"


def _content_sha256(path: Path) -> str:
    """Hash the lines "NAME SHA256" of an archive's wav files, sorted by name."""
    try:
        recordings = read_wav_archive(path)
    except DataError as error:
        return f"an unreadable archive ({error})"
    lines = (
        f"{name} {hashlib.sha256(content).hexdigest()}\n"
        for name, content in sorted(recordings.items())
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()
