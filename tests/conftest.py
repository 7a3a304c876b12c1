"""Fixtures of several test files: downloads without a network, and corpora made for a test."""

import pytest

from tests.helpers.file_server import FileServer, file_entry, limit_waiting
from utils.data import download
from utils.data.registry import registry


@pytest.fixture
def offline(monkeypatch):
    """Every corpus is its stand-in."""
    monkeypatch.setenv("LLM_BOOK_OFFLINE", "1")


@pytest.fixture
def server(monkeypatch):
    """A server on this machine, still without responses."""
    server = FileServer()
    limit_waiting(server, monkeypatch)
    yield server
    server.close()


@pytest.fixture
def download_cache(tmp_path, monkeypatch):
    """An empty folder for downloads; no mirror; no wait before another attempt."""
    for name in ("LLM_BOOK_DATA", "LLM_BOOK_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LLM_BOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "RETRY_DELAY_SECONDS", 0)
    return tmp_path / "cache"


@pytest.fixture
def mirror(tmp_path, monkeypatch, download_cache):
    """A function that registers a corpus of given files and puts them into $LLM_BOOK_DATA."""
    folder = tmp_path / "mirror"
    monkeypatch.setenv("LLM_BOOK_DATA", str(folder))

    def fill(name, contents):
        entries = [file_entry(f"{name}/{file}", content) for file, content in contents.items()]
        monkeypatch.setitem(registry(), name, {"files": entries})
        (folder / name).mkdir(parents=True)
        for file, content in contents.items():
            (folder / name / file).write_bytes(content)
        return folder / name

    return fill
